//! Jobs that are left to outside parties.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::Frame;
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceExt};
use tower_async_job::{
    AsyncJobLayer, JobBody, JobContext, OutsideError, OutsideRun, Release,
    store::{JobHandle, JobStore, MemoryStore, Outside},
};

use crate::support::{
    Answer, Body, Handler, SECOND, Stream, ask, call,
    faulty::{Fault, FaultyStore, Op},
    get, handler, memory, path_of, post, request, send, settle, stream, trailed, upload, wrap,
};

const TOKEN: &str = "4f0c";

/// Returns a handler that leaves its job to an outside party at once, and the handle of the latest.
fn leaving() -> (Handler, Arc<Mutex<Option<JobHandle>>>) {
    let known = Arc::<Mutex<Option<JobHandle>>>::default();
    let noted = known.clone();
    let handler = handler(move |request| {
        let job = JobContext::of(&request);
        *noted.lock().unwrap() = Some(job.handle());
        job.progress_of(1, 4);
        let mut response = Response::new(Body::from("accepted"));
        *response.status_mut() = StatusCode::ACCEPTED;
        let release = Release::default().with_outside(Outside::new(TOKEN, 600 * SECOND));
        response.extensions_mut().insert(release);
        async { response }
    });
    (handler, known)
}

fn layer(store: impl JobStore) -> AsyncJobLayer {
    AsyncJobLayer::builder().store(store).build().unwrap()
}

/// A job that is with an outside party.
struct Left {
    jobs: AsyncJobLayer,
    job: String,
    handle: JobHandle,
}

impl Left {
    /// Sends a request whose job is left to the party.
    async fn with(jobs: AsyncJobLayer) -> Self {
        let (handler, handle) = leaving();
        let accepted = send(&wrap(&jobs, handler), post("/report")).await.pending();
        settle().await;
        let handle = handle.lock().unwrap().expect("a request");
        Self {
            job: path_of(accepted.location()).to_owned(),
            jobs,
            handle,
        }
    }

    async fn new() -> Self {
        Self::with(layer(memory().build())).await
    }

    fn run(&self) -> OutsideRun {
        self.jobs.outside(self.handle, 1, TOKEN)
    }

    async fn deliver(&self, text: &'static str) -> Result<(), OutsideError> {
        let delivery = self.run().resume().await?;
        delivery.record(Response::new(Body::from(text))).await
    }

    async fn poll(&self) -> Answer {
        ask(&self.jobs, get(&self.job)).await
    }
}

#[tokio::test(start_paused = true)]
async fn response_that_is_delivered_by_another_node_is_the_answer() {
    let store = Arc::new(FaultyStore::new(memory().build()));
    let begun = Instant::now();
    let mut left = Left::with(layer(store.clone())).await;
    assert!(begun.elapsed().is_zero(), "it is a job at once");
    left.jobs = layer(store);
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("7"));
    let mut response = Response::new(trailed("the report", trailers));
    *response.status_mut() = StatusCode::CREATED;
    let fields = response.headers_mut();
    fields.insert("x-pages", HeaderValue::from_static("3"));
    fields.insert("connection", HeaderValue::from_static("close"));
    fields.insert("location", HeaderValue::from_static("/reports/7"));
    fields.insert("content-location", HeaderValue::from_static("7"));
    let delivery = left.run().resume().await.unwrap();
    assert_eq!(delivery.route(), "POST /report");
    delivery.record(response).await.unwrap();
    let answer = left.poll().await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.header("job-status"), "done");
    assert_eq!(answer.header("x-pages"), "3");
    assert_eq!(answer.header("connection"), "");
    assert_eq!(answer.header("location"), "/reports/7");
    assert_eq!(
        answer.header("content-location"),
        "",
        "its base is not known"
    );
    assert_eq!(answer.body, "the report");
    assert!(left.deliver("again").await.unwrap_err().is_over());
}

#[tokio::test(start_paused = true)]
async fn reports_of_the_party_continue_those_of_the_handler() {
    let left = Left::new().await;
    let run = left.run();
    for _ in 0..2 {
        sleep(400 * SECOND).await;
        let reported = run.report(600 * SECOND, |job| {
            job.message("step 2");
            job.metadata("pages", 3);
        });
        reported.await.unwrap();
    }
    left.run()
        .report(SECOND, |job| job.metadata("size", 1))
        .await
        .unwrap();
    let status = ask(&left.jobs, get(&format!("{}/status", left.job)))
        .await
        .json();
    assert_eq!(status["progress"]["done"], 1, "{status}");
    assert_eq!(status["progress"]["message"], "step 2");
    assert_eq!(
        status["metadata"],
        serde_json::json!({"pages": 3, "size": 1})
    );
    sleep(3 * SECOND).await;
    let late = left.run().report(SECOND, |_| ()).await.unwrap_err();
    assert!(late.is_over(), "{late}");
    assert_eq!(left.poll().await.header("job-status"), "lost");
}

#[tokio::test(start_paused = true)]
async fn party_without_the_token_of_the_attempt_has_no_effect() {
    let left = Left::new().await;
    let refused = async |handle, attempt, token| {
        let run = left.jobs.outside(handle, attempt, token);
        let refused = run.report(SECOND, |_| ()).await.unwrap_err();
        let kinds = |error: &OutsideError| (error.is_early(), error.is_over(), error.is_unknown());
        let kind = kinds(&refused);
        assert_eq!(kinds(&run.resume().await.unwrap_err()), kind);
        kind
    };
    assert_eq!(refused(left.handle, 1, "4f0d").await, (true, false, false));
    assert_eq!(refused(left.handle, 0, "4f0d").await, (false, true, false));
    assert_eq!(refused(left.handle, 0, TOKEN).await, (false, true, false));
    let unknown = JobHandle::random();
    assert_eq!(refused(unknown, 1, TOKEN).await, (false, false, true));
    left.deliver("its own").await.unwrap();
    assert_eq!(left.poll().await.body, "its own");
}

#[tokio::test(start_paused = true)]
async fn response_that_breaks_off_may_be_delivered_again() {
    let left = Left::new().await;
    let (mut sender, body) = stream();
    let delivery = left.run().resume().await.unwrap();
    let broken = tokio::spawn(delivery.record(Response::new(body)));
    sender.send_data(Bytes::from("half of")).await.unwrap();
    settle().await;
    sender.abort("reset".into());
    let broken = broken.await.unwrap().unwrap_err();
    assert!(broken.is_broken(), "{broken}");
    assert_eq!(left.poll().await.header("job-status"), "running");
    left.deliver("the whole").await.unwrap();
    assert_eq!(left.poll().await.body, "the whole");
}

/// A body that panics when it is read.
struct Panicking;

impl http_body::Body for Panicking {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("on purpose")
    }
}

#[tokio::test(start_paused = true)]
async fn response_that_panics_may_be_delivered_again() {
    let left = Left::new().await;
    let delivery = left.run().resume().await.unwrap();
    let broken = delivery.record(Response::new(Panicking)).await.unwrap_err();
    assert!(broken.is_broken(), "{broken:?}");
    left.deliver("the whole").await.unwrap();
    assert_eq!(left.poll().await.body, "the whole");
}

#[tokio::test(start_paused = true)]
async fn response_without_room_in_the_store_may_be_delivered_again() {
    let store = Arc::new(FaultyStore::new(memory().build()));
    let left = Left::with(layer(store.clone())).await;
    store.plan(Op::Finish, Fault::Full, 1);
    let full = left.deliver("early").await.unwrap_err();
    assert!(full.is_unavailable() && !full.is_too_large(), "{full:?}");
    assert_eq!(left.poll().await.header("job-status"), "running");
    left.deliver("in time").await.unwrap();
    assert_eq!(left.poll().await.body, "in time");
}

/// Has the lease of a delivery run out, since the store does not renew it. Returns the error.
async fn run_out(left: &Left, store: &FaultyStore) -> OutsideError {
    let (_sender, body) = stream();
    let delivery = left.run().resume().await.unwrap();
    store.plan(Op::Renew, Fault::Unavailable, 100);
    delivery.record(Response::new(body)).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn delivery_whose_lease_runs_out_may_be_repeated() {
    let store = Arc::new(FaultyStore::shared(10 * SECOND));
    let left = Left::with(layer(store.clone())).await;
    let late = run_out(&left, &store).await;
    assert!(late.is_unavailable(), "{late:?}");
    sleep(10 * SECOND).await;
    assert_eq!(left.poll().await.header("job-status"), "running");
    left.deliver("again").await.unwrap();
    assert_eq!(left.poll().await.body, "again");
}

#[tokio::test(start_paused = true)]
async fn delivery_whose_lease_runs_out_learns_that_its_job_has_ended() {
    let store = Arc::new(FaultyStore::shared(10 * SECOND));
    let left = Left::with(layer(store.clone())).await;
    left.run().report(SECOND, |_| ()).await.unwrap();
    // The job is read after its lease is over.
    store.plan(Op::Read, Fault::Late(3 * SECOND), 100);
    let late = run_out(&left, &store).await;
    assert!(late.is_over(), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn delivery_that_is_dropped_leaves_the_job_with_the_party() {
    let left = Left::new().await;
    drop(left.run().resume().await.unwrap());
    settle().await;
    left.deliver("later").await.unwrap();
    assert_eq!(left.poll().await.body, "later");
}

#[tokio::test(start_paused = true)]
async fn later_delivery_supersedes_an_earlier_one() {
    let left = Left::new().await;
    let (mut sender, body) = stream();
    let delivery = left.run().resume().await.unwrap();
    let first = tokio::spawn(delivery.record(Response::new(body)));
    settle().await;
    left.deliver("the second").await.unwrap();
    let _ = sender.send_data(Bytes::from("the first")).await;
    drop(sender);
    let first = first.await.unwrap().unwrap_err();
    assert!(first.is_superseded() || first.is_over(), "{first:?}");
    assert_eq!(left.poll().await.body, "the second");
}

#[tokio::test(start_paused = true)]
async fn lease_of_a_slow_delivery_is_renewed() {
    let store = Arc::new(memory().lease_duration(30 * SECOND).build());
    let left = Left::with(layer(store.clone())).await;
    let (mut sender, body) = stream();
    let delivery = left.run().resume().await.unwrap();
    let recording = tokio::spawn(delivery.record(Response::new(body)));
    for _ in 0..10 {
        sleep(10 * SECOND).await;
        sender.send_data(Bytes::from("x")).await.unwrap();
    }
    drop(sender);
    recording.await.unwrap().unwrap();
    assert_eq!(left.poll().await.body, "xxxxxxxxxx");
}

#[tokio::test(start_paused = true)]
async fn lease_of_a_delivery_that_waits_for_its_response_is_renewed() {
    let left = Left::with(layer(FaultyStore::shared(30 * SECOND))).await;
    let delivery = left.run().resume().await.unwrap();
    sleep(100 * SECOND).await;
    let response = Response::new(Body::from("at last"));
    delivery.record(response).await.unwrap();
    assert_eq!(left.poll().await.body, "at last");
}

#[tokio::test(start_paused = true)]
async fn response_beyond_the_limit_fails_the_job() {
    let left = Left::new().await;
    let delivery = left.run().resume().await.unwrap().result_limit(3);
    let refused = delivery.record(Response::new(Body::from("four"))).await;
    assert!(refused.unwrap_err().is_too_large());
    let failed = left.poll().await;
    assert_eq!(failed.header("job-status"), "failed");
    assert_eq!(failed.json()["limit"], 3);
    assert!(left.deliver("two").await.unwrap_err().is_over());
}

#[tokio::test(start_paused = true)]
async fn party_learns_that_its_job_is_cancelled() {
    let left = Left::new().await;
    let (mut sender, body) = stream();
    let delivery = left.run().resume().await.unwrap();
    let recording = tokio::spawn(delivery.record(Response::new(body)));
    settle().await;
    let cancel = request(http::Method::DELETE, &left.job);
    assert_eq!(
        ask(&left.jobs, cancel).await.header("job-status"),
        "cancelled"
    );
    let reported = left.run().report(SECOND, |job| job.progress(0.9)).await;
    assert!(reported.unwrap_err().is_cancelled());
    assert!(left.deliver("late").await.unwrap_err().is_cancelled());
    let _ = sender.send_data(Bytes::from("late")).await;
    drop(sender);
    let recorded = recording.await.unwrap().unwrap_err();
    assert!(recorded.is_cancelled(), "{recorded:?}");
}

#[tokio::test(start_paused = true)]
async fn job_ends_at_its_deadline_though_it_is_with_a_party() {
    let jobs = AsyncJobLayer::builder().job_deadline(60 * SECOND);
    let store = memory().lease_duration(30 * SECOND).build();
    let left = Left::with(jobs.store(store).build().unwrap()).await;
    let delivery = left.run().resume().await.unwrap();
    let (_sender, body) = stream();
    let late = delivery.record(Response::new(body)).await.unwrap_err();
    assert!(late.is_over(), "{late:?}");
    assert_eq!(left.poll().await.header("job-status"), "timed-out");
}

#[tokio::test(start_paused = true)]
async fn store_that_fails_lets_the_party_repeat_its_calls() {
    let store = Arc::new(FaultyStore::new(memory().build()));
    let left = Left::with(layer(store.clone())).await;
    store.plan(Op::Find, Fault::Unavailable, 2);
    let failed = left.run().report(SECOND, |_| ()).await.unwrap_err();
    assert!(failed.is_unavailable(), "{failed}");
    assert!(left.deliver("early").await.unwrap_err().is_unavailable());
    left.deliver("in time").await.unwrap();
    assert_eq!(left.poll().await.body, "in time");
}

#[tokio::test(start_paused = true)]
async fn node_that_shuts_down_takes_no_delivery() {
    let store: Arc<MemoryStore> = Arc::new(memory().build());
    let mut left = Left::with(layer(store.clone())).await;
    left.jobs.shutdown(Duration::ZERO).await;
    assert!(left.deliver("here").await.unwrap_err().is_unavailable());
    left.jobs = layer(store);
    left.deliver("there").await.unwrap();
    assert_eq!(left.poll().await.body, "there");
}

#[tokio::test(start_paused = true)]
async fn call_whose_job_cannot_be_stored_is_answered_as_it_is() {
    let store = Arc::new(FaultyStore::new(memory().build()));
    store.plan(Op::Create, Fault::Unavailable, 100);
    let (handler, _) = leaving();
    let answer = send(&wrap(&layer(store), handler), post("/report")).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.body, "accepted");
}

#[tokio::test(start_paused = true)]
async fn job_that_is_left_before_the_end_of_its_upload_is_made_after_it() {
    for rest_after in [Duration::ZERO, 3 * SECOND] {
        leave_before_the_end_of_the_upload(rest_after).await;
    }
}

/// Sends the rest of an upload some time after its handler has left the job.
async fn leave_before_the_end_of_the_upload(rest_after: Duration) {
    let jobs = AsyncJobLayer::builder()
        .store(memory().build())
        .inline_wait(2 * SECOND)
        .build()
        .unwrap();
    let (handler, handle) = leaving();
    let service = jobs.layer(tower::service_fn(
        move |request: http::Request<JobBody<Stream>>| {
            let (parts, _) = request.into_parts();
            let request = http::Request::from_parts(parts, JobBody::new(Body::default()));
            let handler = handler.clone();
            async {
                sleep(SECOND).await;
                handler.oneshot(request).await
            }
        },
    ));
    let (mut sender, body) = stream();
    let rest = async {
        sleep(SECOND).await;
        settle().await;
        assert!(handle.lock().unwrap().is_some(), "its handler has answered");
        sleep(rest_after).await;
        sender.send_data(Bytes::from("the rest")).await.unwrap();
        drop(sender);
    };
    let (response, ()) = tokio::join!(call(&service, upload("/report", body)), rest);
    let accepted = Answer::of(response).await.pending();
    settle().await;
    let handle = handle.lock().unwrap().expect("a request");
    let run = jobs.outside(handle, 1, TOKEN);
    let response = Response::new(Body::from("done"));
    run.resume().await.unwrap().record(response).await.unwrap();
    assert_eq!(
        ask(&jobs, get(path_of(accepted.location()))).await.body,
        "done"
    );
}

//! Each metric, in a scenario that records it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::{
    seen::{Seen, Values, assert_seen},
    support::{
        Body, Handler, SECOND, ask, call, eager,
        faulty::{Fault, FaultyStore, Op},
        get, handler, id_of, memory, path_of, post, request, send, settle, slow, wrap,
    },
};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_polling::JobState;
use tokio::time::sleep;
use tower_async_job::{
    AsyncJobLayer, JobBody, JobContext, Notification, Notified, Release, StoredBody,
    store::{
        JobId, JobStore, Lease, NewJob, Outside, Released, ReplayedRequest, Retention, Start,
        StoredRequest,
    },
};

fn waiting(uri: &str) -> Request<Body> {
    let mut request = get(uri);
    let headers = request.headers_mut();
    headers.insert("prefer", HeaderValue::from_static("wait=20"));
    request
}

fn in_memory() -> tower_async_job::Builder {
    AsyncJobLayer::builder().store(Arc::new(memory().build()))
}

#[tokio::test(start_paused = true)]
async fn answers_within_the_inline_wait_are_counted() {
    let mut seen = Seen::install();
    let layer = AsyncJobLayer::new();
    let service = wrap(&layer, slow(SECOND / 2, "at once"));
    assert_eq!(send(&service, post("/report")).await.body, "at once");
    let values = seen.since();
    assert_seen(&values, "async_job_inline_total", &[1.0]);
    assert_seen(&values, "async_job_accepted_total", &[]);
}

#[tokio::test(start_paused = true)]
async fn job_is_counted_from_its_acceptance_to_its_delivery() {
    let mut seen = Seen::install();
    let layer = eager(in_memory().route(|_| "reports"));
    let service = wrap(&layer, slow(7 * SECOND, "done"));
    let accepted = send(&service, post("/report")).await.pending();
    let values = seen.since();
    assert_seen(&values, "async_job_accepted_total", &[1.0]);
    assert_seen(&values, "async_job_running", &[1.0]);
    assert_seen(&values, "async_job_inline_total", &[]);

    sleep(10 * SECOND).await;
    let values = seen.since();
    assert_seen(&values, "async_job_running", &[0.0]);
    assert_seen(&values, "async_job_ended_total state=done", &[1.0]);
    let duration = "async_job_duration_seconds state=done route=reports";
    assert_seen(&values, duration, &[7.0]);
    assert_seen(&values, "async_job_polls", &[]);

    let job = path_of(accepted.location());
    for _ in 0..2 {
        assert_eq!(
            send(&service, get(&format!("{job}?poll=3"))).await.body,
            "done"
        );
    }
    let values = seen.since();
    assert_seen(&values, "async_job_polls", &[3.0]);
    assert_seen(&values, "async_job_delivery_delay_seconds", &[3.0]);
}

#[tokio::test(start_paused = true)]
async fn bytes_of_the_store_are_gauged() {
    let mut seen = Seen::install();
    let store = Arc::new(memory().build());
    let layer = eager(AsyncJobLayer::builder().store(store.clone()));
    let service = wrap(&layer, slow(SECOND, "done"));
    send(&service, post("/report")).await.pending();
    sleep(2 * SECOND).await;
    let bytes = store.usage().expect("memory knows").bytes;
    assert!(bytes > "done".len());
    let name = "async_job_store_bytes store=memory";
    assert_seen(&seen.since(), name, &[bytes as f64]);
}

#[tokio::test(start_paused = true)]
async fn streams_of_events_are_gauged_as_held_polls() {
    let mut seen = Seen::install();
    let layer = eager(in_memory().events(true));
    let service = wrap(&layer, slow(5 * SECOND, "done"));
    let accepted = send(&service, post("/report")).await.pending();
    let events = get(&format!("{}/events", path_of(accepted.location())));
    let response = call(&service, events).await;
    assert_seen(&seen.since(), "async_job_held_polls", &[1.0]);
    drop(response);
    assert_seen(&seen.since(), "async_job_held_polls", &[0.0]);
}

#[tokio::test(start_paused = true)]
async fn held_polls_are_gauged() {
    let mut seen = Seen::install();
    let layer = eager(in_memory());
    let service = wrap(&layer, slow(5 * SECOND, "done"));
    let accepted = send(&service, post("/report")).await.pending();
    let job = path_of(accepted.location()).to_owned();
    let poll = tokio::spawn(async move { ask(&layer, waiting(&job)).await });
    settle().await;
    assert_seen(&seen.since(), "async_job_held_polls", &[1.0]);
    assert_eq!(poll.await.expect("no panic").body, "done");
    let values = seen.since();
    assert_seen(&values, "async_job_held_polls", &[0.0]);
    assert_seen(&values, "async_job_delivery_delay_seconds", &[0.0]);
    let duration = "async_job_duration_seconds state=done";
    assert_seen(&values, duration, &[5.0]);
}

#[tokio::test(start_paused = true)]
async fn queued_and_refused_are_counted() {
    let mut seen = Seen::install();
    let layer = eager(in_memory().limits(1, 1));
    let service = wrap(&layer, slow(10 * SECOND, "done"));
    for _ in 0..2 {
        send(&service, post("/report")).await.pending();
    }
    let refused = send(&service, post("/report")).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    let values = seen.since();
    assert_seen(&values, "async_job_running", &[1.0]);
    assert_seen(&values, "async_job_queued", &[1.0]);
    assert_seen(
        &values,
        "async_job_refused_total reason=capacity-exhausted",
        &[1.0],
    );
    sleep(15 * SECOND).await;
    let values = seen.since();
    assert_seen(&values, "async_job_running", &[1.0]);
    assert_seen(&values, "async_job_queued", &[0.0]);
    sleep(10 * SECOND).await;
    assert_seen(&seen.since(), "async_job_running", &[0.0]);
}

/// Runs a job to its end, and fetches its result if it has one.
async fn ended(layer: AsyncJobLayer, handler: Handler, cancel: bool) -> Values {
    let mut seen = Seen::install();
    let service = wrap(&layer, handler);
    let accepted = send(&service, post("/report")).await.pending();
    if cancel {
        let job = path_of(accepted.location());
        for _ in 0..2 {
            send(&service, request(Method::DELETE, job)).await;
        }
    }
    sleep(60 * SECOND).await;
    let values = seen.since();
    assert_seen(&values, "async_job_running", &[0.0]);
    values
}

#[tokio::test(start_paused = true)]
async fn ends_are_counted_by_state() {
    let panics = handler(|_| async {
        sleep(Duration::from_secs(1)).await;
        panic!("on purpose");
        #[allow(unreachable_code, reason = "it says what the future gives")]
        Response::new(Body::default())
    });
    let values = ended(eager(in_memory()), panics, false).await;
    assert_seen(&values, "async_job_ended_total state=failed", &[1.0]);
    let hasty = eager(in_memory().job_deadline(5 * SECOND));
    let values = ended(hasty, slow(300 * SECOND, "late"), false).await;
    assert_seen(&values, "async_job_ended_total state=timed-out", &[1.0]);
    let values = ended(eager(in_memory()), slow(300 * SECOND, "late"), true).await;
    assert_seen(&values, "async_job_ended_total state=cancelled", &[1.0]);
    assert_seen(&values, "async_job_duration_seconds state=cancelled", &[]);
}

#[tokio::test(start_paused = true)]
async fn jobs_handed_back_are_counted_as_lost() {
    let mut seen = Seen::install();
    let layer = eager(in_memory());
    let service = wrap(&layer, slow(300 * SECOND, "late"));
    send(&service, post("/report")).await.pending();
    layer.shutdown(SECOND).await;
    let values = seen.since();
    assert_seen(&values, "async_job_ended_total state=lost", &[1.0]);
    assert_seen(&values, "async_job_running", &[0.0]);
}

/// Stops the run of one job.
async fn stopped(store: FaultyStore, act: impl AsyncFnOnce(&FaultyStore, &JobId)) -> Values {
    stopped_in(slow(300 * SECOND, "late"), store, act).await
}

/// Stops the run of one job with this handler.
async fn stopped_in(
    handler: Handler,
    store: FaultyStore,
    act: impl AsyncFnOnce(&FaultyStore, &JobId),
) -> Values {
    let mut seen = Seen::install();
    let store = Arc::new(store);
    let layer = eager(AsyncJobLayer::builder().store(store.clone()));
    let service = wrap(&layer, handler);
    let accepted = send(&service, post("/report")).await.pending();
    act(&store, &id_of(accepted.location())).await;
    sleep(60 * SECOND).await;
    let values = seen.since();
    assert_seen(&values, "async_job_running", &[0.0]);
    values
}

#[tokio::test(start_paused = true)]
async fn runs_that_are_stopped_are_counted_by_reason() {
    let cancelled = stopped(FaultyStore::shared(30 * SECOND), async |store, id| {
        store.now().cancel(id).await.expect("memory");
    });
    let values = cancelled.await;
    assert_seen(&values, "async_job_stopped_total reason=cancelled", &[1.0]);
    // On the node that cancelled it.
    assert_seen(&values, "async_job_ended_total state=cancelled", &[]);
    let cut_off = FaultyStore::shared(30 * SECOND).times(Op::Renew, Fault::Unavailable, 100);
    let values = stopped(cut_off, async |_, _| ()).await;
    assert_seen(&values, "async_job_stopped_total reason=lease-lost", &[1.0]);
    assert_seen(&values, "async_job_ended_total state=lost", &[]);
}

/// Stops the run of one job while the first of its chunks is written.
async fn stopped_in_chunks(act: impl AsyncFnOnce(&FaultyStore, &JobId)) -> Values {
    let store = memory().lease_duration(30 * SECOND).chunk_size(1000);
    let store = FaultyStore::new(store.build()).then(Op::WriteChunk, Fault::Late(3 * SECOND));
    let long = handler(|_| async {
        sleep(SECOND).await;
        Response::new(Body::from(vec![b'x'; 5000]))
    });
    let act = async |store: &FaultyStore, id: &JobId| {
        sleep(2 * SECOND).await;
        act(store, id).await;
    };
    stopped_in(long, store, act).await
}

#[tokio::test(start_paused = true)]
async fn runs_whose_chunks_are_refused_are_counted_by_reason() {
    let cancelled = stopped_in_chunks(async |store, id| {
        store.now().cancel(id).await.expect("memory");
    });
    let values = cancelled.await;
    assert_seen(&values, "async_job_stopped_total reason=cancelled", &[1.0]);
    let lost = stopped_in_chunks(async |store, id| {
        let lease = Lease::new(*id, 1);
        let released = store.now().release(&[lease], Release::default()).await;
        assert_eq!(released.expect("memory"), [Released::Ended(JobState::Lost)]);
    });
    let values = lost.await;
    assert_seen(&values, "async_job_stopped_total reason=lease-lost", &[1.0]);
    assert_seen(&values, "async_job_stopped_total reason=cancelled", &[]);
    let missing = stopped_in_chunks(async |store, _| store.fail_over());
    let values = missing.await;
    assert_seen(&values, "async_job_ended_total state=lost", &[1.0]);
    assert_seen(&values, "async_job_stopped_total reason=cancelled", &[]);
}

#[tokio::test(start_paused = true)]
async fn runs_whose_end_is_refused_are_counted_by_reason() {
    let store = || FaultyStore::shared(30 * SECOND);
    let done = || slow(SECOND, "done");
    let cancelled = stopped_in(done(), store(), async |store, id| {
        store.now().cancel(id).await.expect("memory");
    });
    let values = cancelled.await;
    assert_seen(&values, "async_job_stopped_total reason=cancelled", &[1.0]);
    let lost = stopped_in(done(), store(), async |store, id| {
        let lease = Lease::new(*id, 1);
        let released = store.now().release(&[lease], Release::default()).await;
        released.expect("memory");
    });
    let values = lost.await;
    assert_seen(&values, "async_job_stopped_total reason=lease-lost", &[1.0]);
}

#[tokio::test(start_paused = true)]
async fn calls_to_the_store_are_timed_and_their_errors_counted() {
    let mut seen = Seen::install();
    let store = FaultyStore::shared(30 * SECOND).then(Op::Read, Fault::Late(SECOND));
    let store = store.then(Op::Read, Fault::Corrupt);
    let store = store.then(Op::Read, Fault::Unsupported);
    let store = Arc::new(store.then(Op::Read, Fault::Hangs));
    let layer = eager(AsyncJobLayer::builder().store(store.clone()));
    let job = format!("/work/{}", JobId::random().encode());
    for _ in 0..3 {
        ask(&layer, get(&job)).await;
    }
    let values = seen.since();
    let name = "async_job_store_call_seconds method=read store=memory";
    assert_seen(&values, name, &[1.0, 0.0, 0.0]);
    assert_seen(&values, "async_job_store_up store=memory", &[1.0]);
    for kind in ["corrupt", "unsupported"] {
        let name = format!("async_job_store_errors_total method=read kind={kind} store=memory");
        assert_seen(&values, &name, &[1.0]);
    }
    ask(&layer, get(&job)).await;
    let values = seen.since();
    assert_seen(&values, name, &[5.0]);
    assert_seen(&values, "async_job_store_up store=memory", &[0.0]);
    let name = "async_job_store_errors_total method=read kind=unavailable store=memory";
    assert_seen(&values, name, &[1.0]);
    ask(&layer, get(&job)).await;
    let values = seen.since();
    assert_seen(&values, "async_job_store_up store=memory", &[1.0]);
    assert_seen(&values, name, &[]);
}

#[tokio::test(start_paused = true)]
async fn sweeps_record_the_jobs_and_nodes_of_the_store() {
    let mut seen = Seen::install();
    let store = Arc::new(FaultyStore::shared(30 * SECOND));
    store.nodes.store(3, Ordering::Relaxed);
    let layer = eager(AsyncJobLayer::builder().store(store.clone()));
    let request = StoredRequest::encode(&ReplayedRequest::default());
    let offered = NewJob::new(JobId::random()).with_request(request);
    store
        .create(offered.with_start(Start::Offered))
        .await
        .expect("memory");
    // The run of a node that has died.
    store
        .create(NewJob::new(JobId::random()))
        .await
        .expect("memory");
    sleep(5 * SECOND).await;
    ask(&layer, get("/work/unknown")).await;
    settle().await;
    let values = seen.since();
    assert_seen(&values, "async_job_store_pending store=memory", &[2.0]);
    let oldest = "async_job_store_oldest_due_seconds store=memory";
    assert_seen(&values, oldest, &[5.0]);
    assert_seen(&values, "async_job_store_nodes store=memory", &[3.0]);
    assert_seen(&values, "async_job_lost_total", &[]);
    sleep(60 * SECOND).await;
    let values = seen.since();
    assert_seen(&values, "async_job_store_pending store=memory", &[1.0]);
    assert_seen(&values, "async_job_lost_total", &[1.0]);
}

#[tokio::test(start_paused = true)]
async fn later_runs_and_lost_leases_are_counted() {
    let store = Arc::new(FaultyStore::shared(30 * SECOND));
    let request = StoredRequest::encode(&ReplayedRequest::default());
    for attempts in [1, 2] {
        let job = NewJob::new(JobId::random()).with_request(request.clone());
        let lease = job.first_lease();
        let job = job.with_start(if attempts == 1 {
            Start::Offered
        } else {
            Start::Running
        });
        store.create(job).await.expect("memory");
        if attempts == 2 {
            let released = store.release(&[lease], Release::default()).await;
            assert_eq!(released.expect("memory"), [Released::Queued]);
        }
    }
    let mut seen = Seen::install();
    let layer = eager(AsyncJobLayer::builder().store(store.clone()));
    let worker = tower::service_fn(|_: Request<JobBody<StoredBody>>| async {
        sleep(40 * SECOND).await;
        Ok::<_, std::convert::Infallible>(Response::new(Body::default()))
    });
    tokio::spawn(layer.worker(worker).run());
    sleep(5 * SECOND).await;
    let values = seen.since();
    assert_seen(&values, "async_job_running", &[2.0]);
    assert_seen(&values, "async_job_rerun_total", &[1.0]);
    store.fail_over();
    sleep(20 * SECOND).await;
    let values = seen.since();
    let name = "async_job_renewals_lost_total result=missing";
    assert_seen(&values, name, &[2.0]);
}

#[tokio::test(start_paused = true)]
async fn metrics_of_a_named_node_have_its_name() {
    let mut seen = Seen::install();
    let layer = eager(in_memory().node_name("a").limits(1, 0));
    let service = wrap(&layer, slow(2 * SECOND, "done"));
    let accepted = send(&service, post("/report")).await.pending();
    let poll = waiting(path_of(accepted.location()));
    send(&service, post("/report")).await;
    assert_eq!(send(&service, poll).await.body, "done");
    settle().await;
    let values = seen.since();
    assert!(values.len() > 10, "{values:#?}");
    for name in values.keys() {
        assert!(name.contains(" node=a"), "{name}");
    }
}

/// Returns a handler that leaves its job to an outside party.
fn outside() -> Handler {
    handler(|request| async move {
        sleep(SECOND).await;
        JobContext::of(&request).progress(0.5);
        let mut response = Response::new(Body::default());
        let outside = Outside::new("token", 600 * SECOND);
        let release = Release::default().with_outside(outside);
        response.extensions_mut().insert(release);
        response
    })
}

#[tokio::test(start_paused = true)]
async fn release_whose_answer_is_lost_is_counted_as_a_release() {
    for store in [
        FaultyStore::shared(30 * SECOND),
        FaultyStore::new(memory().build()),
    ] {
        let store = store.then(Op::Release, Fault::Unacknowledged);
        let values = stopped_in(outside(), store, async |_, _| ()).await;
        assert_seen(&values, "async_job_stopped_total reason=released", &[1.0]);
        assert_seen(&values, "async_job_stopped_total reason=lease-lost", &[]);
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_to_notify_are_counted_by_their_results() {
    let mut seen = Seen::install();
    let layer = eager(in_memory().notify_when(|_| Ok(Some("hook".into()))));
    let notifier = layer.notifier(async |sent: Notification| match sent.attempt {
        1 | 2 => Notified::Again(SECOND),
        _ => Notified::Refused,
    });
    tokio::spawn(notifier.run());
    let service = wrap(&layer, slow(SECOND, "done"));
    send(&service, post("/report")).await.pending();
    sleep(30 * SECOND).await;
    let values = seen.since();
    let name = "async_job_notifications_total result";
    assert_seen(&values, &format!("{name}=again"), &[2.0]);
    assert_seen(&values, &format!("{name}=refused"), &[1.0]);
}

#[tokio::test(start_paused = true)]
async fn notification_that_no_attempt_can_follow_is_counted_as_given_up() {
    let mut seen = Seen::install();
    let retention = Retention::new(60 * SECOND, 60 * SECOND);
    let layer = in_memory().notify_when(|_| Ok(Some("hook".into())));
    let layer = eager(layer.retention(retention));
    let notifier = layer.notifier(async |_| Notified::Again(40 * SECOND));
    tokio::spawn(notifier.run());
    let service = wrap(&layer, slow(SECOND, "done"));
    send(&service, post("/report")).await.pending();
    sleep(600 * SECOND).await;
    let values = seen.since();
    let name = "async_job_notifications_total result";
    assert_seen(&values, &format!("{name}=again"), &[2.0]);
    assert_seen(&values, &format!("{name}=given-up"), &[1.0]);
}

//! Requests that are stored, and run again.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    App, Node, RECOVERY, attempted, record, shared, state,
    support::{
        Answer, Body, SECOND, ask, call, faulty::Op, get, logged, path_of, post, send, trailed,
        with,
    },
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{AUTHORIZATION, HeaderName},
};
use http_polling::JobState;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tower_async_job::{
    Builder, JobContext, Policy, Role,
    store::{JobId, JobStore, NewJob, Principal, Start, StoredRequest},
};

/// Returns a handler that notes its requests and answers after 5 s.
fn noting() -> (App, Arc<Mutex<Vec<Request<Bytes>>>>) {
    let seen = Arc::<Mutex<Vec<Request<Bytes>>>>::default();
    let noted = seen.clone();
    let app = App::new(move |request| {
        let answer = attempted(&request);
        noted.lock().expect("unpoisoned").push(request);
        async move {
            sleep(5 * SECOND).await;
            answer
        }
    });
    (app, seen)
}

/// Has a node killed while it runs a request, and another one run it again.
async fn rerun<B>(
    request: Request<B>,
    configure: impl Fn(Builder) -> Builder,
) -> (Vec<Request<Bytes>>, Node, String)
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: std::fmt::Debug + Send,
{
    let store = shared();
    let [one, other] = [(), ()].map(|()| Node::new(&store, &configure));
    let (app, seen) = noting();
    let accepted = Answer::of(call(&one.service(&app), request).await).await;
    let job = path_of(accepted.pending().location()).to_owned();
    one.kill();
    other.work(&app);
    sleep(RECOVERY + 5 * SECOND).await;
    let seen = std::mem::take(&mut *seen.lock().expect("unpoisoned"));
    (seen, other, job)
}

#[tokio::test(start_paused = true)]
async fn rerun_has_the_request_as_it_was_without_its_credentials() {
    let mut trailers = HeaderMap::new();
    trailers.insert("checksum", HeaderValue::from_static("42"));
    let request = Request::builder()
        .method(Method::PUT)
        .uri("/reports/7?year=2026")
        .version(Version::HTTP_2)
        .header("content-type", "text/plain")
        .header("accept-language", "de")
        .header("traceparent", "00-1-2-01")
        .header("x-tenant", "t")
        .header("x-other", "o")
        .header("cookie", "secret")
        .header("authorization", "secret")
        .body(trailed("the whole body", trailers.clone()))
        .expect("valid request");
    let tenant = HeaderName::from_static("x-tenant");
    let (seen, ..) = rerun(request, |builder| builder.keep_header(tenant.clone())).await;
    let [first, again] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert_eq!(first.headers()["authorization"], "secret");
    for request in [first, again] {
        assert_eq!(request.method(), Method::PUT);
        assert_eq!(request.uri(), "/reports/7?year=2026");
        assert_eq!(request.version(), Version::HTTP_2);
        assert_eq!(request.body(), "the whole body");
        assert_eq!(request.extensions().get::<HeaderMap>(), Some(&trailers));
    }
    let mut names: Vec<_> = again.headers().keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["accept-language", "content-type", "traceparent", "x-tenant"]
    );
    let jobs = [first, again].map(JobContext::of);
    assert_eq!(jobs.each_ref().map(JobContext::attempt), [1, 2]);
    assert_eq!(jobs[0].handle(), jobs[1].handle());
}

#[tokio::test(start_paused = true)]
async fn credentials_are_stored_if_they_are_named() {
    let request = with(post("/report"), "authorization", "mine");
    let (seen, ..) = rerun(request, |builder| builder.keep_header(AUTHORIZATION)).await;
    assert_eq!(seen[1].headers()["authorization"], "mine");
}

#[tokio::test(start_paused = true)]
async fn principal_is_an_extension_of_every_run() {
    let request = with(post("/report"), "x-user", "ada");
    let by_header = |builder: Builder| {
        builder.principal(|request| {
            let user = request.headers.get("x-user")?;
            Some(Principal::new(user.to_str().ok()?))
        })
    };
    let (seen, other, job) = rerun(request, by_header).await;
    let of = |request: &Request<Bytes>| request.extensions().get::<Principal>().cloned();
    let ada = Some(Principal::new("ada"));
    assert_eq!([of(&seen[0]), of(&seen[1])], [ada.clone(), ada]);
    let owner = with(get(&job), "x-user", "ada");
    assert_eq!(ask(&other.layer, owner).await.body, "attempt 2");
    assert_eq!(
        ask(&other.layer, get(&job)).await.status,
        StatusCode::NOT_FOUND
    );
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tenant(u32);

#[tokio::test(start_paused = true)]
async fn kept_extension_is_restored() {
    let mut request = post("/report");
    request.extensions_mut().insert(Tenant(7));
    request.extensions_mut().insert("not kept");
    let (seen, ..) = rerun(request, |builder| {
        builder.keep_extension::<Tenant>("tenant")
    })
    .await;
    assert_eq!(seen[1].extensions().get(), Some(&Tenant(7)));
    assert_eq!(seen[1].extensions().get::<&str>(), None);
}

#[tokio::test(start_paused = true)]
async fn extension_that_cannot_be_restored_fails_its_job_once() {
    let store = shared();
    let one = Node::new(&store, |builder| builder.keep_extension::<Tenant>("tenant"));
    let (app, seen) = noting();
    let mut request = post("/report");
    request.extensions_mut().insert(Tenant(7));
    let accepted = send(&one.service(&app), request).await.pending();
    let job = path_of(accepted.location());
    one.kill();
    // A release with another type under the name.
    let other = Node::new(&store, |builder| builder.keep_extension::<String>("tenant"));
    other.work(&app);
    sleep(RECOVERY).await;
    assert_eq!(
        ask(&other.layer, get(job)).await.header("job-status"),
        "failed"
    );
    assert_eq!(crate::record(&store, job).await.attempt, 2);
    assert_eq!(seen.lock().expect("unpoisoned").len(), 1, "it never ran");
}

#[tokio::test(start_paused = true)]
async fn s42_damaged_request_fails_its_job_once_and_is_logged() {
    // The store finds the first damaged, and the worker the second.
    for (bytes, words) in [
        (&b""[..], "its request cannot be read"),
        (b"\x01?", "failed"),
    ] {
        logged::begin();
        let store = shared();
        let node = Node::new(&store, |builder| builder);
        let request = StoredRequest::from_bytes(Bytes::from_static(bytes));
        let job = NewJob::new(JobId::random()).with_request(request);
        let url = format!("/work/{}", job.id.encode());
        let job = job.with_start(Start::Offered);
        store.now().create(job).await.expect("room");
        let (app, seen) = noting();
        node.work(&app);
        sleep(100 * SECOND).await;
        assert_eq!(state(&store, &url).await, JobState::Failed, "{bytes:?}");
        assert!(seen.lock().expect("unpoisoned").is_empty());
        let log = logged::text();
        assert_eq!(log.matches(words).count(), 1, "{log}");
    }
}

#[cfg(feature = "encryption")]
#[tokio::test(start_paused = true)]
async fn s41_job_of_a_missing_key_waits_for_it_and_is_logged() {
    use tower_async_job::store::{EncryptionKeys, Sealed};

    logged::begin();
    let store = shared();
    let keys = |id| EncryptionKeys::new(id, [7; 32]).expect("a valid id");
    let sealed = |keys| Sealed::new(store.clone(), keys);
    let request = StoredRequest::encode(&tower_async_job::store::ReplayedRequest::default());
    let job = NewJob::new(JobId::random()).with_request(request);
    let url = format!("/work/{}", job.id.encode());
    let job = job.with_start(Start::Offered);
    sealed(keys("2025")).create(job).await.expect("room");
    let run = async |keys| {
        let node = Node::new(&store, |builder| builder.store(sealed(keys)));
        let (app, seen) = noting();
        node.work(&app);
        sleep(100 * SECOND).await;
        // It takes the job from no later node.
        node.layer.shutdown(SECOND).await;
        seen.lock().expect("unpoisoned").len()
    };
    assert_eq!(run(keys("2026")).await, 0);
    assert_eq!(state(&store, &url).await, JobState::Queued);
    assert!(
        logged::text().contains("the key \"2025\""),
        "{}",
        logged::text()
    );
    let both = keys("2026").with_older("2025", [7; 32]);
    assert_eq!(run(both.expect("two ids")).await, 1);
}

#[derive(Clone, Serialize, Deserialize)]
struct Unstorable(#[serde(serialize_with = "fails")] u32);

fn fails<S: serde::Serializer>(_: &u32, _: S) -> Result<S::Ok, S::Error> {
    Err(serde::ser::Error::custom("it cannot be stored"))
}

#[tokio::test(start_paused = true)]
async fn request_whose_extension_cannot_be_stored_runs_where_it_is() {
    let store = shared();
    let node = Node::new(&store, |builder| {
        builder.keep_extension::<Unstorable>("unstorable")
    });
    let (app, seen) = noting();
    let mut request = post("/report");
    request.extensions_mut().insert(Unstorable(1));
    let accepted = send(&node.service(&app), request).await.pending();
    node.layer.shutdown(SECOND).await;
    assert_eq!(state(&store, accepted.location()).await, JobState::Lost);
    assert_eq!(seen.lock().expect("unpoisoned").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn request_that_is_answered_inline_is_not_stored() {
    let store = shared();
    let node = Node::new(&store, |builder| builder.inline_wait(10 * SECOND));
    let (app, seen) = noting();
    let mut request = post("/report");
    *request.body_mut() = Body::from("whole");
    assert_eq!(send(&node.service(&app), request).await.body, "attempt 1");
    assert_eq!(seen.lock().expect("unpoisoned")[0].body(), "whole");
    assert_eq!(store.calls(Op::Create), 0);
}

#[tokio::test(start_paused = true)]
async fn request_over_the_limit_is_refused_before_its_handler() {
    let node = Node::new(&shared(), |builder| builder.request_spool(10));
    let (app, seen) = noting();
    let mut request = post("/report");
    *request.body_mut() = Body::from("more than ten bytes");
    let refused = send(&node.service(&app), request).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(seen.lock().expect("unpoisoned").is_empty());
}

#[tokio::test(start_paused = true)]
async fn requests_of_running_jobs_share_the_room_of_uploads() {
    let node = Node::new(&shared(), |builder| builder.spool_room(25));
    let (app, _) = noting();
    let upload = || {
        let mut request = post("/report");
        *request.body_mut() = Body::from("ten bytes.");
        request
    };
    send(&node.service(&app), upload()).await.pending();
    sleep(SECOND).await;
    let refused = send(&node.service(&app), upload()).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    sleep(5 * SECOND).await;
    send(&node.service(&app), upload()).await.pending();
}

#[tokio::test(start_paused = true)]
async fn policy_selects_requests_too_with_their_attempts() {
    let store = shared();
    let mut policy = Policy::default();
    policy.inline_wait = Duration::ZERO;
    policy.replay = true;
    policy.max_attempts = 1;
    let policy = Arc::new(policy);
    let [one, other] = [(), ()].map(|()| {
        let policy = policy.clone();
        Node::configured(&store, |builder| builder.policy(move |_| policy.clone()))
    });
    let (app, _) = noting();
    let jobs = [one.submit(&app).await, one.submit(&app).await];
    one.kill();
    other.work(&app);
    sleep(RECOVERY).await;
    for job in jobs {
        assert_eq!(state(&store, &job).await, JobState::Failed, "not lost");
    }
}

#[tokio::test(start_paused = true)]
async fn answer_of_a_handler_is_never_retried() {
    let store = shared();
    let node = Node::new(&store, |builder| builder);
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let app = App::new(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async {
            sleep(SECOND).await;
            let mut response = Response::new(Body::from("no"));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    });
    node.work(&app);
    let job = node.submit(&app).await;
    sleep(600 * SECOND).await;
    let answer = ask(&node.layer, get(&job)).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.header("job-status"), "done");
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn key_of_a_job_that_is_run_again_gets_its_result() {
    let keyed = || with(post("/report"), "idempotency-key", "k");
    let (seen, other, _) = rerun(keyed(), |builder| builder).await;
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].headers()["idempotency-key"], "k");
    let unused = App::new(|_| async { panic!("it runs a third time") });
    let repeated = send(&other.service(&unused), keyed()).await;
    assert_eq!(repeated.body, "attempt 2");
}

#[tokio::test(start_paused = true)]
async fn s32_job_that_waits_after_two_crashes_is_queued_and_takes_no_place() {
    let store = shared();
    let [one, other] = [(), ()].map(|()| Node::new(&store, |builder| builder));
    let app = App::new(|request| async move {
        if request.uri() == "/report" {
            sleep(600 * SECOND).await;
        }
        attempted(&request)
    });
    let job = one.submit(&app).await;
    one.kill();
    let dying = Node::new(&store, |builder| builder);
    dying.work(&app);
    sleep(RECOVERY).await;
    assert_eq!(record(&store, &job).await.attempt, 2, "without a pause");
    dying.kill();
    let worker = other.layer.worker(app.clone()).concurrency(1).run();
    tokio::spawn(worker);
    let waits = async || record(&store, &job).await.state == JobState::Queued;
    while !waits().await {
        sleep(SECOND / 50).await;
    }
    let front = Node::new(&store, |builder| builder.role(Role::Front));
    let other_job = send(&front.service(&app), post("/other")).await.pending();
    sleep(SECOND / 4).await;
    assert!(waits().await, "it begins at once");
    let answer = ask(&front.layer, get(path_of(other_job.location()))).await;
    assert_eq!(answer.body, "attempt 1");
    sleep(3 * SECOND).await;
    let record = record(&store, &job).await;
    assert_eq!((record.state, record.attempt), (JobState::Running, 3));
}

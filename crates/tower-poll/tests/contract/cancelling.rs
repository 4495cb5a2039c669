//! Calls that are ended by their caller.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, Method, StatusCode};
use http_polling::JobState;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_poll::{Job, PendingJob, PollLayer, StopSignal, Submitted};

use crate::common::{Answer, Script, TestBody, answer, exact, exact_layer, post, see_other, send};

const URL: &str = "http://server.test/report";

/// Pending for ever; answers DELETE with `status`.
fn endless(status: u16) -> Script {
    Script::new(move |_, request| match *request.method() {
        Method::DELETE => answer(status, &[]),
        _ => see_other("/work/1"),
    })
}

async fn cancelled_after(
    seconds: u64,
    script: &Script,
    signal: impl FnOnce(WaitForCancellationFutureOwned) -> StopSignal,
) -> tower_poll::Error {
    let token = CancellationToken::new();
    let mut request = post(URL);
    request
        .extensions_mut()
        .insert(signal(token.clone().cancelled_owned()));
    tokio::spawn(async move {
        sleep(Duration::from_secs(seconds)).await;
        token.cancel();
    });
    send(exact_layer(), script, request).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn token_that_stops_waiting_leaves_the_job_alone() {
    let script = endless(202);
    let error = cancelled_after(5, &script, StopSignal::stop_waiting).await;
    assert!(error.is_stopped());
    assert_eq!(error.pending_job().unwrap().url().path(), "/work/1");
    assert!(
        script
            .seen()
            .iter()
            .all(|seen| seen.method != Method::DELETE)
    );
}

#[tokio::test(start_paused = true)]
async fn token_that_cancels_remotely_deletes_the_job() {
    for status in [202, 204] {
        let script = endless(status);
        let error = cancelled_after(5, &script, StopSignal::cancel_remotely).await;
        assert_eq!(error.job_state(), Some(JobState::Cancelled));
        let last = script.seen().pop().unwrap();
        assert_eq!((last.method, last.uri.path()), (Method::DELETE, "/work/1"));
    }
}

#[tokio::test(start_paused = true)]
async fn server_that_does_not_cancel_is_an_error_with_the_job() {
    let error = cancelled_after(5, &endless(405), StopSignal::cancel_remotely).await;
    assert_eq!(
        error.refused_cancellation(),
        Some(StatusCode::METHOD_NOT_ALLOWED)
    );
    assert!(error.pending_job().is_some());
}

#[tokio::test(start_paused = true)]
async fn server_that_does_not_answer_the_cancellation_is_not_waited_for_long() {
    let token = CancellationToken::new();
    let mut request = post(URL);
    let cancellation = StopSignal::cancel_remotely(token.clone().cancelled_owned());
    request.extensions_mut().insert(cancellation);
    let mute = service_fn(|request: http::Request<TestBody>| async move {
        match *request.method() {
            Method::DELETE => std::future::pending().await,
            _ => see_other("/work/1"),
        }
    });
    let call = exact_layer().layer(mute).oneshot(request);
    token.cancel();
    let error = timeout(Duration::from_secs(40), call).await.unwrap();
    let error = error.unwrap_err();
    assert!(error.is_stopped() && error.pending_job().is_some());
}

#[tokio::test(start_paused = true)]
async fn token_ends_a_submission_that_is_not_answered() {
    let token = CancellationToken::new();
    let mut request = post(URL);
    let cancellation = StopSignal::cancel_remotely(token.clone().cancelled_owned());
    request.extensions_mut().insert(cancellation);
    let silent = service_fn(|_| std::future::pending::<Answer>());
    let call = PollLayer::new().layer(silent).oneshot(request);
    tokio::spawn(async move {
        sleep(Duration::from_secs(5)).await;
        token.cancel();
    });
    let error = timeout(Duration::from_secs(6), call)
        .await
        .unwrap()
        .unwrap_err();
    assert!(error.is_stopped() && error.pending_job().is_none());
}

#[tokio::test(start_paused = true)]
async fn token_of_a_call_that_ends_before_does_nothing() {
    let token = CancellationToken::new();
    let mut request = post(URL);
    let cancellation = StopSignal::cancel_remotely(token.clone().cancelled_owned());
    request.extensions_mut().insert(cancellation);
    let script = Script::new(|_, _| answer(200, &[]));
    send(exact_layer(), &script, request).await.unwrap();
    token.cancel();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(script.count(), 1);
}

async fn dropped_after(seconds: u64, script: &Script) {
    let mut service = exact_layer().cancel_on_drop().layer(script.clone());
    let call = service.ready().await.unwrap().call(post(URL));
    assert!(timeout(Duration::from_secs(seconds), call).await.is_err());
    sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn c19_dropped_call_cancels_its_job_where_that_is_asked_for() {
    let script = endless(202);
    dropped_after(5, &script).await;
    let count = script.count();
    let last = script.seen().pop().unwrap();
    assert_eq!((last.method, last.uri.path()), (Method::DELETE, "/work/1"));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(script.count(), count);
}

#[tokio::test(start_paused = true)]
async fn c19_dropped_call_carries_its_credentials_along() {
    let script = endless(202);
    let mut service = exact_layer().cancel_on_drop().layer(script.clone());
    let mut request = post(URL);
    let secret = http::HeaderValue::from_static("Bearer secret");
    request
        .headers_mut()
        .insert("authorization", secret.clone());
    let call = service.ready().await.unwrap().call(request);
    assert!(timeout(Duration::from_secs(2), call).await.is_err());
    sleep(Duration::from_secs(1)).await;
    let last = script.seen().pop().unwrap();
    assert_eq!(last.method, Method::DELETE);
    assert_eq!(last.headers["authorization"], secret);
}

#[tokio::test(start_paused = true)]
async fn call_that_ended_is_not_cancelled_when_it_is_dropped() {
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        _ => answer(200, &[]),
    });
    let service = exact_layer().cancel_on_drop().layer(script.clone());
    let response = service.oneshot(post(URL)).await.unwrap();
    assert_eq!(response.status(), 200);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(script.count(), 2);
}

/// Cancels a call to `/disks/7` after 90 s, and gives the URLs that were
/// deleted.
async fn deleted(method: Method, play: fn(&Method, &str) -> Answer) -> Vec<String> {
    let script = Script::new(move |_, request| play(request.method(), request.uri().path()));
    let token = CancellationToken::new();
    let request = http::Request::builder()
        .method(method)
        .uri("http://server.test/disks/7")
        .extension(StopSignal::cancel_remotely(token.clone().cancelled_owned()))
        .body(TestBody::default())
        .unwrap();
    tokio::spawn(async move {
        sleep(Duration::from_millis(90_500)).await;
        token.cancel();
    });
    let error = send(exact_layer(), &script, request).await.unwrap_err();
    let seen = script.seen().into_iter();
    let deleted: Vec<_> = seen
        .filter(|seen| seen.method == Method::DELETE)
        .map(|seen| seen.uri.path().to_owned())
        .collect();
    if deleted.is_empty() {
        assert!(error.is_not_cancellable() && error.pending_job().is_some());
    } else {
        assert_eq!(error.job_state(), Some(JobState::Cancelled));
    }
    deleted
}

fn later() -> Answer {
    answer(202, &[("retry-after", "5")])
}

#[tokio::test(start_paused = true)]
async fn resource_that_is_asked_for_itself_is_never_deleted() {
    let deleted = deleted(Method::GET, |method, _| match *method {
        Method::GET => later(),
        _ => answer(204, &[]),
    });
    assert!(deleted.await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn resource_that_a_redirect_leads_to_is_never_deleted() {
    let deleted = deleted(Method::POST, |method, path| match (method, path) {
        (&Method::POST, _) => see_other("/work/1"),
        (&Method::GET, "/work/1") => answer(303, &[("location", "/disks/8")]),
        (&Method::GET, _) => later(),
        _ => answer(204, &[]),
    });
    assert!(deleted.await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn job_that_is_asked_for_itself_is_deleted() {
    let deleted = deleted(Method::GET, |method, _| match *method {
        Method::GET => answer(202, &[("job-status", "running"), ("retry-after", "5")]),
        _ => answer(204, &[]),
    });
    assert_eq!(deleted.await, ["/disks/7"]);
}

#[tokio::test(start_paused = true)]
async fn job_that_moves_is_deleted_where_it_is() {
    let deleted = deleted(Method::POST, |method, path| match (method, path) {
        (&Method::POST, _) => see_other("/work/1"),
        (&Method::GET, "/work/1") => see_other("/work/2"),
        (&Method::GET, _) => later(),
        _ => answer(204, &[]),
    });
    assert_eq!(deleted.await, ["/work/2"]);
}

#[tokio::test(start_paused = true)]
async fn resource_that_was_asked_for_itself_is_not_deleted_after_resuming() {
    let script = Script::new(|_, request| match *request.method() {
        Method::GET => later(),
        _ => answer(204, &[]),
    });
    let request = http::Request::get("http://server.test/disks/7");
    let mut service = exact_layer().layer(script.clone());
    let submitted = service.submit(request.body(TestBody::default()).unwrap());
    let Submitted::Pending(job) = submitted.await.unwrap() else {
        panic!("final");
    };
    let stored = serde_json::to_string(&job.pending()).unwrap();
    let stored: PendingJob = serde_json::from_str(&stored).unwrap();
    let job: Job<_, TestBody, TestBody> = service.resume(&stored, &HeaderMap::new()).unwrap();
    assert!(job.cancel().await.unwrap_err().is_not_cancellable());
    assert_eq!(script.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn cancellation_shows_no_credentials_to_another_origin() {
    let script = Script::new(|_, request| match *request.method() {
        Method::DELETE => answer(204, &[]),
        _ => {
            let headers = [
                ("location", "http://elsewhere.test/work/1"),
                ("retry-after", "1"),
                ("set-cookie", "node=7; Path=/"),
            ];
            answer(303, &headers)
        }
    });
    let elsewhere = [http::Uri::from_static("http://elsewhere.test")];
    let layer = PollLayer::with_policy(exact().cross_origin(elsewhere));
    let mut request = post(URL);
    for (name, value) in [("authorization", "Bearer secret"), ("cookie", "a=b")] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let submitted = layer.layer(script.clone()).submit(request).await.unwrap();
    let Submitted::Pending(job) = submitted else {
        panic!("final");
    };
    job.cancel().await.unwrap();
    let last = script.seen().pop().unwrap();
    assert_eq!(last.method, Method::DELETE);
    assert!(!last.headers.contains_key("authorization"));
    assert!(!last.headers.contains_key("cookie"));
}

#[tokio::test(start_paused = true)]
async fn dropped_submission_cancels_nothing() {
    let silent = service_fn(|_: http::Request<TestBody>| std::future::pending::<Answer>());
    let seen = Arc::new(());
    let held = seen.clone();
    let silent = silent.map_request(move |request| {
        let _ = &held;
        request
    });
    let service = PollLayer::new().cancel_on_drop().layer(silent);
    let call = service.oneshot(post(URL));
    assert!(timeout(Duration::from_secs(5), call).await.is_err());
    sleep(Duration::from_secs(1)).await;
    assert_eq!(Arc::strong_count(&seen), 1);
}

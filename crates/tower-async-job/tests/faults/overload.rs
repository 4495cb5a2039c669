//! Overload and shutdown.

use std::time::Duration;

use crate::support::{Answer, Body, eager, get, handler, post, request, send, settle, slow, wrap};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tokio::time::{Instant, sleep};
use tower::ServiceExt;
use tower_async_job::{AsyncJobLayer, JobContext, ObservedJob, store::Principal};

const SECOND: Duration = Duration::from_secs(1);

fn of(user: &'static str) -> Request<Body> {
    let mut request = post("/report");
    request
        .headers_mut()
        .insert("x-user", HeaderValue::from_static(user));
    request
}

fn by_user(request: http_polling::RequestHead<'_>) -> Option<Principal> {
    Some(Principal::new(
        request.headers.get("x-user")?.to_str().ok()?,
    ))
}

#[tokio::test(start_paused = true)]
async fn s38_quota_of_one_principal_is_429_and_others_are_unaffected() {
    let layer = AsyncJobLayer::builder()
        .principal(by_user)
        .limits_per_principal(1, 1);
    let service = wrap(&eager(layer), slow(10 * SECOND, "done"));
    assert_eq!(
        send(&service, of("a")).await.header("job-status"),
        "running"
    );
    assert_eq!(send(&service, of("a")).await.header("job-status"), "queued");
    let refused = send(&service, of("a")).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(
        send(&service, of("b")).await.header("job-status"),
        "running"
    );
}

#[tokio::test(start_paused = true)]
async fn retry_after_of_a_full_node_follows_from_how_long_its_work_takes() {
    let service = wrap(
        &eager(AsyncJobLayer::builder().limits(1, 1)),
        slow(20 * SECOND, "done"),
    );
    for _ in 0..2 {
        send(&service, post("/report")).await.pending();
    }
    sleep(45 * SECOND).await;
    for _ in 0..2 {
        send(&service, post("/report")).await.pending();
    }
    let refused = send(&service, post("/report")).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        refused.header("retry-after"),
        "40",
        "the one that runs and the one that waits"
    );
}

#[tokio::test(start_paused = true)]
async fn principals_that_wait_have_their_turns() {
    let layer = AsyncJobLayer::builder().principal(by_user).limits(1, 10);
    let service = wrap(&eager(layer), slow(SECOND, "done"));
    let mut greedy = Vec::new();
    for _ in 0..4 {
        greedy.push(send(&service, of("greedy")).await.pending());
    }
    let modest = send(&service, of("modest")).await.pending();
    sleep(3 * SECOND + SECOND / 2).await;
    let mut asking = get(modest.location());
    asking
        .headers_mut()
        .insert("x-user", HeaderValue::from_static("modest"));
    assert_eq!(
        send(&service, asking).await.body,
        "done",
        "not behind all of the other's"
    );
}

#[tokio::test(start_paused = true)]
async fn s39_shutdown_lets_running_jobs_end_within_the_grace() {
    let layer = eager(AsyncJobLayer::builder());
    let service = wrap(&layer, slow(10 * SECOND, "done"));
    let accepted = send(&service, post("/report")).await.pending();
    let begun = Instant::now();
    layer.shutdown(30 * SECOND).await;
    assert_eq!(begun.elapsed(), 10 * SECOND);
    assert_eq!(send(&service, get(accepted.location())).await.body, "done");
}

#[tokio::test(start_paused = true)]
async fn s39_shutdown_hands_back_what_does_not_end() {
    let layer = eager(AsyncJobLayer::builder());
    let (dropped, is_dropped) = tokio::sync::oneshot::channel::<()>();
    let dropped = std::sync::Arc::new(std::sync::Mutex::new(Some(dropped)));
    let service = wrap(
        &layer,
        handler(move |request| {
            let dropped = dropped.lock().expect("unpoisoned").take();
            async move {
                let _dropped = dropped;
                let _job = JobContext::of(&request);
                std::future::pending().await
            }
        }),
    );
    let accepted = send(&service, post("/report")).await.pending();
    let begun = Instant::now();
    layer.shutdown(5 * SECOND).await;
    assert_eq!(begun.elapsed(), 5 * SECOND);
    assert!(is_dropped.await.is_err(), "the handler is dropped");
    let lost = send(&service, get(accepted.location())).await;
    assert_eq!(lost.header("job-status"), "lost");
}

#[tokio::test(start_paused = true)]
async fn node_that_shuts_down_is_not_ready_and_takes_nothing_on() {
    let layer = eager(AsyncJobLayer::builder());
    let service = wrap(&layer, slow(10 * SECOND, "done"));
    let ready = async || {
        let response = layer
            .readiness()
            .oneshot(get("/ready"))
            .await
            .expect("infallible");
        Answer::of(response).await.status
    };
    assert_eq!(ready().await, StatusCode::OK);
    layer.shutdown(SECOND).await;
    assert_eq!(ready().await, StatusCode::SERVICE_UNAVAILABLE);
    let refused = send(&service, post("/report")).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.header("retry-after"), "5");
    let passed = send(&service, request(Method::HEAD, "/report")).await;
    assert_eq!(
        passed.status,
        StatusCode::OK,
        "what is never deferred passes"
    );
}

#[tokio::test(start_paused = true)]
async fn shutdown_answers_held_polls() {
    let layer = eager(AsyncJobLayer::builder().estimator(|_: &ObservedJob<'_>| 20 * SECOND));
    let service = wrap(&layer, slow(60 * SECOND, "late"));
    let accepted = send(&service, post("/report")).await.pending();
    let held = tokio::spawn({
        let service = service.clone();
        async move { send(&service, get(accepted.location())).await }
    });
    settle().await;
    layer.shutdown(10 * SECOND).await;
    let begun = Instant::now();
    let lost = held.await.expect("answered");
    assert_eq!(lost.header("job-status"), "lost");
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn request_that_is_inline_when_the_node_shuts_down_is_answered_inline() {
    let layer = AsyncJobLayer::new();
    let service = wrap(
        &layer,
        handler(|_| async {
            sleep(3 * SECOND).await;
            Response::new(Body::from("done"))
        }),
    );
    let call = tokio::spawn({
        let service = service.clone();
        async move { send(&service, post("/report")).await }
    });
    settle().await;
    layer.shutdown(SECOND).await;
    assert_eq!(call.await.expect("answered").body, "done");
}

#[tokio::test(start_paused = true)]
async fn estimator_that_panics_ends_its_call_alone() {
    let estimator = |_: &ObservedJob<'_>| -> Duration { panic!("no estimate") };
    let layer = eager(AsyncJobLayer::builder().estimator(estimator));
    let service = wrap(&layer, slow(3600 * SECOND, "late"));
    let answer = send(&service, post("/report")).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
}

//! Deadlines of requests that are never deferred.

use std::sync::atomic::Ordering;

use super::{leaving_out, never_deferred, websocket};
use crate::{
    builder,
    support::{SECOND, eager, post, send, slow, watched, with, wrap},
};
use http::StatusCode;
use tokio::time::{Instant, sleep};
use tower::Service;
use tower_async_job::OnDisconnect;

#[tokio::test(start_paused = true)]
async fn s66_work_that_is_never_deferred_ends_at_its_deadline() {
    for limited in [false, true] {
        for request in never_deferred() {
            let mut builder = builder();
            if limited {
                builder = builder.limits(1, 0);
            }
            let (handler, lifeline, ended) = watched(60 * SECOND, "late");
            let service = wrap(&leaving_out(builder), handler);
            let is_grpc = request.headers().contains_key("content-type");
            let request = match is_grpc {
                true => with(request, "grpc-timeout", "5S"),
                false => with(request, "cancel-after", "5s"),
            };
            let begun = Instant::now();
            let answer = send(&service, request).await;
            assert_eq!(begun.elapsed(), 5 * SECOND);
            match is_grpc {
                true => assert_eq!(answer.header("grpc-status"), "4"),
                false => assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT),
            }
            assert_eq!(answer.header("job-status"), "", "there is no job");
            assert!(!lifeline.is_alive(), "the handler is dropped");
            assert_eq!(ended.load(Ordering::SeqCst), 0);
            let malformed = with(websocket(), "cancel-after", "soon");
            let malformed = send(&service, malformed).await;
            assert_eq!(malformed.status, StatusCode::BAD_REQUEST);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s66_work_that_is_never_deferred_has_its_place_for_no_longer_than_a_job() {
    let layer = leaving_out(builder().limits(1, 0).job_deadline(20 * SECOND));
    let service = wrap(&layer, slow(3600 * SECOND, "late"));
    let begun = Instant::now();
    let answer = send(&service, post("/left/out")).await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(begun.elapsed(), 20 * SECOND);
    send(&service, post("/report")).await.pending();
}

#[tokio::test(start_paused = true)]
async fn s66_work_that_is_never_deferred_ends_at_the_deadline_that_is_set() {
    for request in never_deferred() {
        let layer = leaving_out(builder().job_deadline(20 * SECOND));
        let (handler, lifeline, _) = watched(3600 * SECOND, "late");
        let service = wrap(&layer, handler);
        let begun = Instant::now();
        let answer = send(&service, request).await;
        assert_eq!(begun.elapsed(), 20 * SECOND);
        let is_grpc = answer.header("grpc-status") == "4";
        assert!(is_grpc || answer.status == StatusCode::GATEWAY_TIMEOUT);
        assert!(!lifeline.is_alive(), "the handler is dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn s66_work_that_its_client_has_left_has_its_place_for_no_longer_than_a_job() {
    let builder = builder().limits(1, 0).job_deadline(20 * SECOND);
    let layer = eager(builder.on_disconnect(OnDisconnect::Detach));
    let service = wrap(&layer, slow(3600 * SECOND, "late"));
    let mut left = tokio_test::task::spawn(service.clone().call(post("/left")));
    // It was not polled, so it is detached before it begins.
    drop(left);
    sleep(19 * SECOND).await;
    let refused = send(&service, post("/report")).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    sleep(2 * SECOND).await;
    let inline = with(post("/report"), "prefer", "wait=5");
    left = tokio_test::task::spawn(service.clone().call(inline));
    tokio_test::assert_pending!(left.poll());
    drop(left);
    sleep(21 * SECOND).await;
    send(&service, post("/report")).await.pending();
}

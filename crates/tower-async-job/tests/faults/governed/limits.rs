//! Limits of requests that are never deferred.

use std::sync::atomic::Ordering;

use super::{by_user, counting, leaving_out, never_deferred, websocket};
use crate::{
    builder,
    support::{Body, SECOND, asking, post, send, slow, with, wrap},
};
use http::{Request, StatusCode};
use tokio::task::JoinSet;

#[tokio::test(start_paused = true)]
async fn s66_what_is_never_deferred_is_admitted_and_answered_inline() {
    for kind in 0..never_deferred().len() {
        let (handler, _, most) = counting(5 * SECOND);
        let service = wrap(&leaving_out(builder().limits(2, 100)), handler);
        let mut calls = JoinSet::new();
        for _ in 0..50 {
            let service = service.clone();
            let request = asking_unless_grpc(never_deferred().remove(kind));
            calls.spawn(async move { send(&service, request).await });
        }
        for answer in calls.join_all().await {
            assert_eq!(answer.status, StatusCode::OK, "kind {kind}: {answer:?}");
            assert_eq!(answer.header("job-status"), "");
        }
        assert_eq!(most.load(Ordering::SeqCst), 2, "kind {kind}");
    }
}

/// Adds `Prefer: respond-async` to requests that are not deferred nevertheless.
fn asking_unless_grpc(request: Request<Body>) -> Request<Body> {
    match request.headers().contains_key("content-type") {
        true => request,
        false => asking(request),
    }
}

#[tokio::test(start_paused = true)]
async fn s66_what_is_never_deferred_is_refused_by_a_full_node() {
    let service = wrap(
        &leaving_out(builder().limits(1, 0)),
        slow(60 * SECOND, "late"),
    );
    send(&service, post("/report")).await.pending();
    for request in never_deferred() {
        let grpc = request.headers().contains_key("content-type");
        let refused = send(&service, request).await;
        assert_eq!(refused.header("retry-after"), "5", "{refused:?}");
        match grpc {
            true => assert_eq!(refused.header("grpc-status"), "14"),
            false => assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s66_what_is_never_deferred_counts_for_its_principal() {
    let layer = leaving_out(builder().principal(by_user).limits_per_principal(1, 0));
    let service = wrap(&layer, slow(60 * SECOND, "late"));
    let of = |request, user| with(request, "x-user", user);
    send(&service, of(post("/report"), "a")).await.pending();
    for request in never_deferred() {
        let is_grpc = request.headers().contains_key("content-type");
        let refused = send(&service, of(request, "a")).await;
        match is_grpc {
            true => assert_eq!(refused.header("grpc-status"), "8"),
            false => assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS),
        }
    }
    let other = send(&service, of(websocket(), "b")).await;
    assert_eq!(other.body, "late");
}

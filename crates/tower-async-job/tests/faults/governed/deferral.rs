//! Requests that are never deferred, and similar ones that are.

use std::sync::Arc;

use super::{h2c, leaving_out, websocket};
use crate::{
    builder, faulty, store,
    support::{
        Body, SECOND, asking, eager, get, grpc, handler, post, request, send, slow, with, wrap,
    },
};
use http::{HeaderValue, Method, Response, StatusCode};

#[tokio::test(start_paused = true)]
async fn s56_upgrades_and_connect_are_never_deferred() {
    let store = Arc::new(store());
    let service = wrap(
        &eager(faulty(&store).limits(1, 0)),
        slow(60 * SECOND, "inline"),
    );
    let upgrade = with(
        with(get("/ws"), "upgrade", "websocket"),
        "connection",
        "upgrade",
    );
    for request in [
        asking(upgrade),
        asking(request(Method::CONNECT, "host:443")),
        asking(request(Method::TRACE, "/")),
    ] {
        assert_eq!(send(&service, request).await.body, "inline");
    }
    assert_eq!(store.all_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn s64_preflight_and_head_are_never_deferred() {
    let store = Arc::new(store());
    let service = wrap(&eager(faulty(&store)), slow(60 * SECOND, "inline"));
    let preflight = with(
        with(
            request(Method::OPTIONS, "/report"),
            "origin",
            "https://app.example",
        ),
        "access-control-request-method",
        "POST",
    );
    for request in [asking(preflight), asking(request(Method::HEAD, "/report"))] {
        let answer = send(&service, request).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("location"), "");
    }
    assert_eq!(store.all_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn grpc_is_deferred_only_when_it_asks() {
    let service = wrap(&eager(builder()), slow(60 * SECOND, "inline"));
    let silent = with(
        post("/pkg.Service/Method"),
        "content-type",
        "application/grpc",
    );
    assert_eq!(send(&service, silent).await.body, "inline");
    send(&service, grpc("/pkg.Service/Method")).await.pending();
}

#[tokio::test(start_paused = true)]
async fn s66_upgrade_to_h2c_is_a_request_as_any_other() {
    let service = wrap(&eager(builder()), slow(60 * SECOND, "late"));
    send(&service, h2c(post("/report"))).await.pending();
    let unconnected = with(post("/report"), "upgrade", "websocket");
    send(&service, unconnected).await.pending();
    let mut old = websocket();
    *old.version_mut() = http::Version::HTTP_10;
    send(&service, old).await.pending();
}

#[tokio::test(start_paused = true)]
async fn s78_event_stream_that_is_slow_to_begin_is_not_deferred() {
    let service = wrap(&eager(builder()), slow(60 * SECOND, "data: x\n\n"));
    for accept in [
        "text/event-stream",
        "application/json, Text/Event-Stream;q=0.9",
    ] {
        let answer = send(&service, with(post("/events"), "accept", accept)).await;
        assert_eq!(answer.body, "data: x\n\n", "{accept}");
    }
    let unwanted = with(post("/events"), "accept", "text/event-stream;q=0, */*");
    send(&service, unwanted).await.pending();
}

#[tokio::test(start_paused = true)]
async fn preferences_of_what_is_never_deferred_are_left_to_the_handler() {
    let seen = handler(|request| async move {
        let prefer = request.headers().get("prefer").cloned();
        let prefer = prefer.unwrap_or_else(|| HeaderValue::from_static("none"));
        Response::new(Body::from(prefer.as_bytes().to_vec()))
    });
    let service = wrap(&leaving_out(builder().limits(1, 0)), seen);
    let answer = send(&service, with(post("/left/out"), "prefer", "wait=5")).await;
    assert_eq!(answer.body, "wait=5");
    assert_eq!(answer.header("preference-applied"), "");
}

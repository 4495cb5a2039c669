//! Idempotency keys of requests that are never deferred.

use std::{
    convert::Infallible,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{counting, grpc, h2c, leaving_out};
use crate::{
    builder,
    support::{
        Answer, Body, SECOND, Stream, call, eager, faulty::FaultyStore, memory, path_of, post,
        request, send, settle, slow, stream, with, wrap,
    },
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::task::JoinSet;
use tower::{Layer, service_fn};
use tower_async_job::JobBody;

fn keyed(request: Request<Body>) -> Request<Body> {
    with(request, "idempotency-key", "k")
}

#[tokio::test(start_paused = true)]
async fn s66_key_holds_for_what_is_never_deferred() {
    let websocket = || {
        let request = with(post("/ws"), "connection", "upgrade");
        with(request, "upgrade", "websocket")
    };
    let events = || with(post("/events"), "accept", "text/event-stream");
    let kinds: [&dyn Fn() -> Request<Body>; 3] = [&websocket, &events, &|| post("/left/out")];
    for request in kinds {
        let (handler, runs, _) = counting(60 * SECOND);
        let service = wrap(&leaving_out(builder()), handler);
        let first = tokio::spawn({
            let (service, request) = (service.clone(), keyed(request()));
            async move { send(&service, request).await }
        });
        settle().await;
        let repeat = send(&service, keyed(request())).await;
        assert_eq!(repeat.body, "1", "it waits for the answer");
        assert_eq!(first.await.expect("answered").body, "1");
        assert_eq!(send(&service, keyed(request())).await.body, "1");
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn s66_key_holds_for_an_upgrade_to_h2c() {
    let (handler, runs, _) = counting(60 * SECOND);
    let service = wrap(&eager(builder()), handler);
    let request = || keyed(h2c(post("/report")));
    let first = send(&service, request()).await.pending();
    let repeat = send(&service, request()).await.pending();
    assert_eq!(path_of(first.location()), path_of(repeat.location()));
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn s66_keyed_repeat_that_may_not_be_deferred_is_never_told_of_a_job() {
    let layer = builder().only_when_asked(true).hold_limits(1, 1);
    let service = wrap(&eager(layer), slow(20 * SECOND, "done"));
    let mut calls = JoinSet::new();
    for _ in 0..3 {
        let service = service.clone();
        calls.spawn(async move { send(&service, keyed(post("/report"))).await });
    }
    let answers = calls.join_all().await;
    let done = answers.iter().filter(|answer| answer.body == "done");
    assert_eq!(
        done.count(),
        2,
        "the first, and the one that there was a place for"
    );
    let refused = answers
        .iter()
        .find(|answer| answer.status == StatusCode::SERVICE_UNAVAILABLE)
        .expect("the third");
    assert_eq!(refused.header("retry-after"), "5");
    assert_eq!(refused.header("location"), "");
}

#[tokio::test(start_paused = true)]
async fn s66_keyed_grpc_call_is_served_without_the_key_and_never_buffered() {
    let store = Arc::new(FaultyStore::new(memory().build()));
    let layer = eager(builder().store(store.clone()).limits(2, 0));
    let inner = service_fn(|request: Request<JobBody<Stream>>| async {
        let key = request.headers().contains_key("idempotency-key");
        let mut body = request.into_body();
        let first = body.frame().await.expect("one").expect("whole");
        assert_eq!(first.into_data().expect("data"), "first");
        Ok::<_, Infallible>(Response::new(Body::from(format!("with the key: {key}"))))
    });
    let service = layer.layer(inner);
    let (mut sender, body) = stream();
    sender.send_data("first".into()).await.expect("read");
    let (parts, _) = with(grpc(), "idempotency-key", "k").into_parts();
    let answer = Answer::of(call(&service, Request::from_parts(parts, body)).await).await;
    assert_eq!(answer.body, "with the key: true");
    assert_eq!(store.all_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn s66_key_of_a_safe_method_or_a_tunnel_is_left_alone() {
    let store = Arc::new(FaultyStore::new(memory().build()));
    let service = wrap(
        &eager(builder().store(store.clone())),
        slow(Duration::ZERO, "inline"),
    );
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::CONNECT] {
        let uri = if method == Method::CONNECT {
            "host:443"
        } else {
            "/report"
        };
        let request = with(request(method, uri), "idempotency-key", "k");
        let answer = send(&service, request).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    assert_eq!(store.all_calls(), 0);
}

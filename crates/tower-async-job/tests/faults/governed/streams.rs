//! Event streams and WebSockets, which have their own limits.

use std::{convert::Infallible, sync::Arc};

use super::{by_user, events, websocket};
use crate::{
    builder,
    support::{
        Answer, Body, SECOND, Stream, ask, call, eager, handler, path_of, post, request, send,
        settle, stream, with, wrap,
    },
};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tokio::time::sleep;
use tower::{Layer, service_fn};
use tower_async_job::{AsyncJobLayer, JobBody, ResponseBody, StreamPlace};

/// Returns a handler of endless event streams.
fn streaming(
    layer: &AsyncJobLayer,
) -> impl tower::Service<
    Request<Body>,
    Response = Response<ResponseBody<Stream>>,
    Error = Infallible,
    Future: Send,
> + Clone {
    layer.layer(service_fn(|request: Request<JobBody<Body>>| async move {
        let (sender, body) = stream();
        let mut response = Response::new(body);
        if request.uri().path() == "/events" {
            let events = HeaderValue::from_static("text/event-stream; charset=utf-8");
            response.headers_mut().insert("content-type", events);
            // Keeps it open for ever.
            std::mem::forget(sender);
        }
        Ok::<_, Infallible>(response)
    }))
}

#[tokio::test(start_paused = true)]
async fn s66_event_streams_leave_the_running_places_for_a_limit_of_their_own() {
    let layer = eager(builder().limits(2, 0).streams(3, 3));
    let service = streaming(&layer);
    let mut open = Vec::new();
    for request in [events(), post("/events"), events()] {
        let response = call(&service, request).await;
        assert_eq!(response.status(), StatusCode::OK);
        open.push(response);
    }
    let answer = Answer::of(call(&service, post("/report")).await).await;
    assert_eq!(answer.status, StatusCode::OK, "they do not shut out others");
    let refused = Answer::of(call(&service, events()).await).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.header("retry-after"), "5");
    assert_eq!(refused.header("connection"), "", "the node goes on");
    open.pop();
    let next = call(&service, events()).await;
    assert_eq!(
        next.status(),
        StatusCode::OK,
        "its place ends with its body"
    );
}

#[tokio::test(start_paused = true)]
async fn s66_event_streams_that_are_recorded_do_not_hold_the_running_places() {
    let layer = eager(builder().limits(2, 0).streams(2, 2));
    let service = streaming(&layer);
    let keyed = |key| with(post("/events"), "idempotency-key", key);
    for key in ["a", "b"] {
        Answer::of(call(&service, keyed(key)).await).await.pending();
    }
    settle().await;
    let answer = Answer::of(call(&service, post("/report")).await).await;
    assert_eq!(answer.status, StatusCode::OK, "they do not shut out others");
    let refused = Answer::of(call(&service, keyed("c")).await).await;
    assert_eq!(refused.header("job-status"), "failed");
    let first = Answer::of(call(&service, keyed("a")).await).await.pending();
    ask(&layer, request(Method::DELETE, path_of(first.location()))).await;
    sleep(10 * SECOND).await;
    let next = Answer::of(call(&service, keyed("d")).await).await;
    assert_eq!(next.header("job-status"), "running", "its place is free");
}

#[tokio::test(start_paused = true)]
async fn s66_streams_of_one_principal_are_limited_where_its_requests_are() {
    let layer = eager(builder().principal(by_user).limits_per_principal(2, 0));
    let service = streaming(&layer);
    let of = |user| with(events(), "x-user", user);
    let mut open = Vec::new();
    for _ in 0..100 {
        let response = call(&service, of("a")).await;
        assert_eq!(response.status(), StatusCode::OK);
        open.push(response);
    }
    let refused = Answer::of(call(&service, of("a")).await).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("retry-after"), "5");
    assert_eq!(call(&service, of("b")).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn s66_websockets_leave_the_running_places_for_a_limit_of_their_own() {
    let places = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = places.clone();
    let switching = handler(move |request| {
        kept.lock()
            .expect("unpoisoned")
            .push(StreamPlace::of(&request));
        let is_websocket = request.headers().contains_key("upgrade");
        async move {
            let mut response = Response::new(Body::default());
            if is_websocket {
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            }
            response
        }
    });
    let layer = eager(builder().limits(2, 0).streams(2, 2));
    let service = wrap(&layer, switching);
    for _ in 0..2 {
        let answer = send(&service, websocket()).await;
        assert_eq!(answer.status, StatusCode::SWITCHING_PROTOCOLS);
    }
    assert_eq!(send(&service, post("/report")).await.status, StatusCode::OK);
    let refused = send(&service, websocket()).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    let tunnel = send(&service, request(Method::CONNECT, "host:443")).await;
    assert_eq!(tunnel.status, StatusCode::SERVICE_UNAVAILABLE);
    places.lock().expect("unpoisoned").remove(0);
    let answer = send(&service, websocket()).await;
    assert_eq!(answer.status, StatusCode::SWITCHING_PROTOCOLS);
}

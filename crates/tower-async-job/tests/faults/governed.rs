//! Requests that are never deferred: admitted, limited, keyed and ended at their deadline all the same.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::{
    Answer, Body, Handler, SECOND, Stream, ask, asking, call, eager, faulty::FaultyStore, get,
    handler, memory, path_of, post, request, send, settle, slow, stream, watched, with, wrap,
};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tower::{Layer, Service, service_fn};
use tower_async_job::{
    AsyncJobLayer, Builder, JobBody, OnDisconnect, ResponseBody, StreamPlace, store::Principal,
};

fn builder() -> Builder {
    AsyncJobLayer::builder()
}

fn websocket() -> Request<Body> {
    let request = with(get("/ws"), "connection", "keep-alive, Upgrade");
    with(request, "upgrade", "websocket")
}

fn h2c(request: Request<Body>) -> Request<Body> {
    let request = with(request, "connection", "Upgrade, HTTP2-Settings");
    with(
        with(request, "upgrade", "h2c"),
        "http2-settings",
        "AAMAAABkAAQA",
    )
}

fn grpc() -> Request<Body> {
    with(
        post("/pkg.Service/Method"),
        "content-type",
        "application/grpc",
    )
}

fn events() -> Request<Body> {
    with(
        get("/events"),
        "accept",
        "application/json, text/event-stream",
    )
}

fn by_user(request: http_polling::RequestHead<'_>) -> Option<Principal> {
    let user = request.headers.get("x-user")?.to_str().ok()?;
    Some(Principal::new(user))
}

/// One of each kind that is never deferred.
fn never_deferred() -> Vec<Request<Body>> {
    vec![
        websocket(),
        grpc(),
        events(),
        request(Method::HEAD, "/report"),
        request(Method::OPTIONS, "/report"),
        request(Method::TRACE, "/report"),
        request(Method::CONNECT, "host:443"),
        post("/left/out"),
    ]
}

fn leaving_out(builder: Builder) -> AsyncJobLayer {
    eager(builder.defer_when(|head| !head.uri.path().starts_with("/left")))
}

/// Answers after a time with the number of the run, and counts how many run at once.
fn counting(time: Duration) -> (Handler, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let (runs, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let running = Arc::new(AtomicUsize::new(0));
    let (counted, highest) = (runs.clone(), most.clone());
    let handler = handler(move |_| {
        let run = counted.fetch_add(1, Ordering::SeqCst) + 1;
        highest.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let running = running.clone();
        async move {
            sleep(time).await;
            running.fetch_sub(1, Ordering::SeqCst);
            Response::new(Body::from(run.to_string()))
        }
    });
    (handler, runs, most)
}

// ---- admitted and limited

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

/// Requests that ask by `Prefer` and still are not deferred.
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

// ---- deadlines

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
    // Not polled, it is detached before it begins.
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

// ---- keys

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
    let layer = builder().only_when_asked().hold_limits(1, 1);
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

// ---- streams

/// An endless event stream.
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
            // Kept open for ever.
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

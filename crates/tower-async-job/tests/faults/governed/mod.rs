//! Requests that are never deferred: they too are admitted, limited, keyed and ended at their
//! deadline.

mod deadlines;
mod deferral;
mod keys;
mod limits;
mod streams;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::{Body, Handler, eager, get, handler, post, request, with};
use http::{Method, Request, Response};
use tokio::time::sleep;
use tower_async_job::{AsyncJobLayer, Builder, store::Principal};

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

/// Returns one request of each kind that is never deferred.
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

/// Returns a handler that answers after a time with the number of its run, and counts concurrent
/// runs.
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

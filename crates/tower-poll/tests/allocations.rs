//! The allocations of the layer, counted. One test, so that no other allocates
//! beside it.

use std::{
    alloc::System,
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::Empty;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower::{Layer, Service};
use tower_poll::{PollLayer, StandardPolicy};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Pending at `/report`, with a `Location` made at run time, final elsewhere.
#[derive(Clone)]
struct Bare;

impl Service<Request<Empty<Bytes>>> for Bare {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Empty<Bytes>>) -> Self::Future {
        let mut response = Response::new(Empty::new());
        if request.uri().path() == "/report" {
            *response.status_mut() = StatusCode::SEE_OTHER;
            let headers = response.headers_mut();
            headers.reserve(2);
            let location = HeaderValue::from_str("/work/8f14?poll=1").unwrap();
            headers.insert(header::LOCATION, location);
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("0"));
        }
        ready(Ok(response))
    }
}

/// A request whose URI and headers were made at run time.
fn request(uri: &str, headers: &[(HeaderName, &str)]) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = Uri::try_from(uri).unwrap();
    request.headers_mut().reserve(headers.len());
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).unwrap();
        request.headers_mut().insert(name.clone(), value);
    }
    request
}

/// The allocations of one call. The least of some, so that what other threads
/// of the test harness do does not count.
fn count(layer: &PollLayer, uri: &str, headers: &[(HeaderName, &str)]) -> usize {
    let mut service = layer.layer(Bare);
    (0..10)
        .map(|_| {
            let request = request(uri, headers);
            let region = Region::new(ALLOCATOR);
            let response = service.call(request).now_or_never();
            let change = region.change();
            assert_eq!(response.unwrap().unwrap().status(), StatusCode::OK);
            change.allocations + change.reallocations
        })
        .min()
        .unwrap()
}

#[test]
fn allocations_are_few() {
    let layer = PollLayer::with_policy(
        StandardPolicy::new()
            .min_delay(Duration::ZERO)
            .max_delay(Duration::from_secs(1)),
    );
    let eight = [
        (header::ACCEPT, "*/*"),
        (header::USER_AGENT, "test/1"),
        (header::AUTHORIZATION, "Bearer secret"),
        (HeaderName::from_static("traceparent"), "00-1-2-01"),
        (header::CONTENT_TYPE, "text/plain"),
        (header::CONTENT_LENGTH, "8"),
        (HeaderName::from_static("x-request-id"), "1"),
        (HeaderName::from_static("x-other"), "2"),
    ];
    let long = "x".repeat(200);
    let long = [(header::AUTHORIZATION, &*long), (header::ACCEPT, &*long)];
    for uri in ["/other", "https://example.com/other"] {
        assert_eq!(count(&layer, uri, &[]), 0, "no headers, {uri}");
        assert_eq!(count(&layer, uri, &eight), 0, "eight headers, {uri}");
        assert!(count(&layer, uri, &long) <= 2, "long values, {uri}");
    }

    // Three of them are those of the pending answer itself.
    for uri in ["/report", "https://example.com/report"] {
        for headers in [&eight[..0], &eight[..2], &eight[4..6]] {
            let count = count(&layer, uri, headers);
            assert!(count <= 8, "{count} for one hop, {uri} {headers:?}");
        }
    }
}

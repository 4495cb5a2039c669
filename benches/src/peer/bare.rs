//! A handler with a fixed answer to a pending poll, of the same bytes as the layer's: it looks up no job
//! and makes no decisions.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
};

use axum::{Router, extract::Path, routing::get};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, RETRY_AFTER, VARY},
};

use crate::Body;

const BODY: &str = r#"{"id":"0123456789abcdef0123456789abcdef","state":"running","created":"2026-01-01T00:00:00.000Z","started":"2026-01-01T00:00:00.000Z","attempt":1,"retry_after_ms":1000}"#;

/// Creates the handler as an axum route.
pub fn router() -> Router {
    let answer = |Path(_): Path<String>| ready(pending().map(axum::body::Body::new));
    Router::new().route("/work/{id}", get(answer))
}

/// Creates the handler as a function of the request.
pub fn answer<B>(_: Request<B>) -> Ready<Result<Response<Body>, Infallible>> {
    ready(Ok(pending()))
}

/// Creates the answer. It copies the body and the values that differ between jobs, as is unavoidable.
fn pending() -> Response<Body> {
    let copied = |text: &str| Bytes::copy_from_slice(black_box(text).as_bytes());
    let value = |text: &str| HeaderValue::from_maybe_shared(copied(text)).expect("a valid value");
    let mut response = Response::new(Body::from(copied(BODY)));
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    *headers = HeaderMap::with_capacity(9);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        HeaderName::from_static("job-status"),
        HeaderValue::from_static("running"),
    );
    headers.insert(RETRY_AFTER, value("1"));
    headers.insert(HeaderName::from_static("retry-after-ms"), value("1000"));
    headers.insert(
        LOCATION,
        value("/work/0123456789abcdef0123456789abcdef?poll=2&due=1000"),
    );
    headers.insert(VARY, HeaderValue::from_static("accept, prefer"));
    response
}

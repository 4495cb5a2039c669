//! Messages as stored by this and earlier releases, one file for each format.
//!
//! A new format gets its own files; existing files never change and stay readable.

use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use tower_async_job_core::{ReplayedRequest, StoredRequest, StoredResponse};

const REQUEST_1: &[u8] = include_bytes!("golden/request-1.bin");
const RESPONSE_1: &[u8] = include_bytes!("golden/response-1.bin");

fn headers() -> HeaderMap {
    let mut secret = HeaderValue::from_static("a=b");
    secret.set_sensitive(true);
    HeaderMap::from_iter([
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain")),
        (header::COOKIE, secret),
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html")),
    ])
}

fn request() -> ReplayedRequest {
    let mut request = ReplayedRequest::default();
    request.method = Method::POST;
    request.uri = "/reports?year=2026".parse().unwrap();
    request.version = Version::HTTP_2;
    request.headers = headers();
    request.body = "the request".into();
    request.trailers = Some(headers());
    request.extensions = "the extensions".into();
    request
}

fn response() -> StoredResponse {
    let mut recorder = StoredResponse::recorder(StatusCode::CREATED, &headers(), 100);
    recorder.push(b"the response").unwrap();
    recorder.finish(Some(&HeaderMap::new()))
}

/// Returns whether each value of the headers is sensitive.
fn sensitive(headers: &HeaderMap) -> Vec<bool> {
    headers.values().map(HeaderValue::is_sensitive).collect()
}

#[test]
fn requests_of_format_1_are_read() {
    let stored = StoredRequest::from_bytes(REQUEST_1.into());
    assert_eq!(stored.format(), Some(1));
    let read = stored.decode().unwrap();
    assert_eq!(sensitive(&read.headers), sensitive(&headers()));
    assert_eq!(read, request());
}

#[test]
fn responses_of_format_1_are_read() {
    let stored = StoredResponse::from_bytes(RESPONSE_1.into());
    assert_eq!(stored.body_len(), 12);
    let read = stored.decode().unwrap();
    assert_eq!(read.status, StatusCode::CREATED);
    assert_eq!(sensitive(&read.headers), sensitive(&headers()));
    assert_eq!(read.headers, headers());
    assert_eq!(read.body, "the response");
    assert_eq!(read.trailers, Some(HeaderMap::new()));
}

/// The newest format is the one written. With a new format, this compares with its files.
#[test]
fn newest_format_is_written() {
    assert_eq!(StoredRequest::FORMAT, 1);
    assert_eq!(StoredRequest::encode(&request()).as_bytes(), REQUEST_1);
    assert_eq!(response().as_bytes(), RESPONSE_1);
}

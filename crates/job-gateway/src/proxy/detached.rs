//! Requests that wait, without the memory of the connections on which they came.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Uri};

/// Copies the head of a request, whose parts are parts of a buffer of its connection: a small request
/// would keep all of a large buffer for as long as it waits.
pub(super) fn detach<B>(request: &mut Request<B>) {
    let headers = request.headers();
    let length = headers.values().map(HeaderValue::len).sum();
    let mut values = BytesMut::with_capacity(length);
    headers
        .values()
        .for_each(|value| values.extend_from_slice(value.as_bytes()));
    let mut values = values.freeze();
    let mut copy = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        copy.append(name.clone(), copied(value, values.split_to(value.len())));
    }
    *request.headers_mut() = copy;
    // The text of a target is one.
    if let Ok(uri) = Uri::try_from(request.uri().to_string()) {
        *request.uri_mut() = uri;
    }
}

/// Returns a value as a part of other bytes, which are equal.
fn copied(value: &HeaderValue, bytes: Bytes) -> HeaderValue {
    let copy = HeaderValue::from_maybe_shared(bytes);
    let mut copy = copy.unwrap_or_else(|_| value.clone());
    copy.set_sensitive(value.is_sensitive());
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_waits_is_the_same() {
        let buffer = Bytes::from_static(b"/report?page=1 first second");
        let value = |range| HeaderValue::from_maybe_shared(buffer.slice(range)).unwrap();
        let uri = Uri::from_maybe_shared(buffer.slice(..14)).unwrap();
        let mut request = Request::post(uri);
        let headers = request.headers_mut().unwrap();
        headers.append("x-one", value(15..20));
        headers.append("accept", value(15..15));
        headers.append("x-one", value(21..27));
        let mut secret = value(21..27);
        secret.set_sensitive(true);
        headers.append("authorization", secret);
        let mut request = request.body(()).unwrap();
        let before = request.headers().clone();
        detach(&mut request);
        assert_eq!(*request.headers(), before);
        assert!(request.headers()["authorization"].is_sensitive());
        assert_eq!(request.uri(), "/report?page=1");
        let within = buffer.as_ptr_range();
        for value in request.headers().values().filter(|value| !value.is_empty()) {
            assert!(!within.contains(&value.as_bytes().as_ptr()));
        }
        assert!(!within.contains(&request.uri().path().as_ptr()));
    }

    #[test]
    fn a_target_that_names_its_server_is_the_same() {
        let uri = "https://shop.example:8443/report";
        let mut request = Request::get(uri).body(()).unwrap();
        detach(&mut request);
        assert_eq!(request.uri(), uri);
    }
}

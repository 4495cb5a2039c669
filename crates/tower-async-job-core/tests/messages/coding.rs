//! Messages decode to their input, and no bytes panic.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use proptest::{collection::vec, prelude::*};
use tower_async_job_core::{ReplayedRequest, StoredRequest, StoredResponse};

fn headers() -> impl Strategy<Value = HeaderMap> {
    let name = prop_oneof![Just("content-type".to_owned()), "[a-z][a-z0-9-]{0,12}"];
    let value = (vec(0x20..=0x7e_u8, 0..20), any::<bool>());
    vec((name, value), 0..8).prop_map(|all| {
        let mut headers = HeaderMap::new();
        for (name, (value, sensitive)) in all {
            let mut value = HeaderValue::from_bytes(&value).unwrap();
            value.set_sensitive(sensitive);
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
        }
        headers
    })
}

fn sensitivity(headers: &HeaderMap) -> Vec<bool> {
    headers.values().map(HeaderValue::is_sensitive).collect()
}

proptest! {
    #[test]
    fn a_response_comes_back(
        status in 100..1000_u16,
        headers in headers(),
        chunks in vec(vec(any::<u8>(), 0..100), 0..5),
        trailers in proptest::option::of(headers()),
    ) {
        let status = StatusCode::from_u16(status).unwrap();
        let body = chunks.concat();
        let mut recorder = StoredResponse::recorder(status, &headers, body.len());
        recorder.reserve(body.len() / 2);
        for chunk in &chunks {
            recorder.push(chunk).unwrap();
        }
        prop_assert_eq!(recorder.push(b"!").unwrap_err().limit(), body.len());
        let stored = recorder.finish(trailers.as_ref());
        let read = StoredResponse::from_bytes(stored.as_bytes().clone()).decode().unwrap();
        prop_assert_eq!(read.status, status);
        prop_assert_eq!(sensitivity(&read.headers), sensitivity(&headers));
        prop_assert_eq!(read.headers, headers);
        prop_assert_eq!(read.body, body);
        prop_assert_eq!(read.trailers, trailers);
    }

    #[test]
    fn a_request_comes_back(
        headers in headers(),
        body in vec(any::<u8>(), 0..300),
        trailers in proptest::option::of(headers()),
        extensions in vec(any::<u8>(), 0..300),
        uri in prop_oneof![
            Just("/"), Just("*"), Just("/a?b=c"), Just("http://host:1/x"), Just("host:80"),
        ],
        version in prop_oneof![
            Just(Version::HTTP_09), Just(Version::HTTP_10), Just(Version::HTTP_11),
            Just(Version::HTTP_2), Just(Version::HTTP_3),
        ],
        method in prop_oneof![Just(Method::POST), Just(Method::from_bytes(b"BREW").unwrap())],
    ) {
        let mut request = ReplayedRequest::default();
        request.method = method;
        request.uri = uri.parse().unwrap();
        request.version = version;
        request.headers = headers;
        request.body = body.into();
        request.trailers = trailers;
        request.extensions = extensions.into();
        prop_assert_eq!(StoredRequest::encode(&request).decode().unwrap(), request);
    }

    #[test]
    fn s42_no_bytes_panic(mut bytes in vec(any::<u8>(), 0..300), versioned in any::<bool>()) {
        if versioned && let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        let bytes = Bytes::from(bytes);
        let _ = StoredResponse::from_bytes(bytes.clone()).decode();
        let _ = StoredRequest::from_bytes(bytes).decode();
    }

    #[test]
    fn s42_a_damaged_response_is_an_error_or_another_response(
        headers in headers(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let stored = StoredResponse::recorder(StatusCode::OK, &headers, 0).finish(Some(&headers));
        let mut bytes = stored.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Err(error) = StoredResponse::from_bytes(bytes.into()).decode() {
            prop_assert!(error.is_corrupt() || error.is_unsupported_version());
        }
    }
}

fn small() -> Bytes {
    let headers = HeaderMap::from_iter([(http::header::AGE, HeaderValue::from_static("1"))]);
    let mut recorder = StoredResponse::recorder(StatusCode::OK, &headers, 2);
    recorder.push(b"ab").unwrap();
    recorder.finish(Some(&headers)).as_bytes().clone()
}

#[test]
fn s41_an_unknown_version_is_told_from_damage() {
    let mut bytes = small().to_vec();
    bytes[0] = 2;
    let error = StoredResponse::from_bytes(bytes.clone().into())
        .decode()
        .unwrap_err();
    assert!(error.is_unsupported_version());
    assert!(
        StoredRequest::from_bytes(bytes.into())
            .decode()
            .unwrap_err()
            .is_unsupported_version()
    );
}

#[test]
fn s06_a_truncated_or_padded_response_is_corrupt() {
    let whole = small();
    for length in 0..whole.len() {
        let part = StoredResponse::from_bytes(whole.slice(..length));
        assert!(part.decode().unwrap_err().is_corrupt(), "{length}");
    }
    let padded = [&whole[..], b"!"].concat();
    assert!(
        StoredResponse::from_bytes(padded.into())
            .decode()
            .unwrap_err()
            .is_corrupt()
    );
}

#[test]
fn s42_a_forged_length_makes_no_room() {
    let mut bytes = vec![1, 200, 0, 0, 0, 0, 0];
    bytes.extend([0xff; 9]);
    bytes.push(1);
    assert!(
        StoredResponse::from_bytes(bytes.into())
            .decode()
            .unwrap_err()
            .is_corrupt()
    );
}

#[test]
fn s35_a_body_over_the_limit_leaves_what_was_recorded() {
    let mut recorder = StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), 3);
    recorder.push(b"ab").unwrap();
    assert!(recorder.push(b"cd").is_err());
    recorder.push(b"c").unwrap();
    assert_eq!(recorder.body_len(), 3);
    assert_eq!(recorder.finish(None).decode().unwrap().body, "abc");
}

#[test]
fn a_response_is_stored_with_few_bytes_around_it() {
    let headers = HeaderMap::from_iter([
        (
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        (
            http::header::ETAG,
            HeaderValue::from_static("\"0123456789\""),
        ),
    ]);
    let mut recorder = StoredResponse::recorder(StatusCode::OK, &headers, 1024);
    recorder.push(&[b'x'; 1024]).unwrap();
    let stored = recorder.finish(None);
    assert!(stored.len() <= 1024 + 64, "{}", stored.len());
}

#[test]
fn a_read_body_is_a_view_into_the_stored_bytes() {
    let whole = small();
    let body = StoredResponse::from_bytes(whole.clone())
        .decode()
        .unwrap()
        .body;
    assert!(whole.as_ptr_range().contains(&body.as_ptr()));
}

//! Responses with JSON, or without content.

use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};

use crate::{
    body::StoredBody,
    headers::{USUAL_HEADERS, set_no_store},
};

pub(crate) fn json(content_type: HeaderValue, json: Vec<u8>) -> Response<StoredBody> {
    let mut response = Response::new(StoredBody::from(json));
    let headers = response.headers_mut();
    *headers = HeaderMap::with_capacity(USUAL_HEADERS);
    headers.insert(CONTENT_TYPE, content_type);
    set_no_store(headers);
    response
}

pub(crate) fn no_content() -> Response<StoredBody> {
    let mut response = Response::new(StoredBody::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    set_no_store(response.headers_mut());
    response
}

/// Removes the body of an answer to HEAD, and keeps the length that it would have had, if known
/// (RFC 9110, section 9.3.2).
pub(crate) fn without_body(response: Response<StoredBody>) -> Response<StoredBody> {
    let (mut parts, body) = response.into_parts();
    let has_content = !matches!(
        parts.status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    if let Some(length) = http_body::Body::size_hint(&body).exact()
        && has_content
    {
        parts
            .headers
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(parts, StoredBody::default())
}

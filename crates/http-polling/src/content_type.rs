//! Media types that polling distinguishes.

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};

/// The media type of a [`StatusDocument`](crate::StatusDocument).
///
/// ```
/// use http::{HeaderMap, header::CONTENT_TYPE};
///
/// let mut headers = HeaderMap::new();
/// headers.insert(CONTENT_TYPE, http_polling::JSON);
/// assert_eq!(headers[CONTENT_TYPE], "application/json");
/// ```
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The media type of a [`Problem`](crate::Problem) (RFC 9457, section 3).
///
/// ```
/// use http::{HeaderMap, header::CONTENT_TYPE};
///
/// let mut headers = HeaderMap::new();
/// headers.insert(CONTENT_TYPE, http_polling::PROBLEM_JSON);
/// assert!(http_polling::is_problem_json(&headers));
/// ```
pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Returns whether a message is a gRPC message.
///
/// The media type of gRPC is `application/grpc`. A message format
/// (`application/grpc+proto`) or parameters may follow it. gRPC-Web
/// (`application/grpc-web`) is a different protocol and returns `false`.
///
/// ```
/// use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
/// use http_polling::is_grpc;
///
/// let mut headers = HeaderMap::new();
/// assert!(!is_grpc(&headers));
/// headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc+proto"));
/// assert!(is_grpc(&headers));
/// ```
#[must_use]
pub fn is_grpc(headers: &HeaderMap) -> bool {
    after_media_type(headers, b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ' | b'\t')))
}

/// Returns whether the message declares its body as a problem document:
/// `application/problem+json`, with or without parameters.
///
/// ```
/// use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
/// use http_polling::is_problem_json;
///
/// let mut headers = HeaderMap::new();
/// headers.insert(
///     CONTENT_TYPE,
///     HeaderValue::from_static("application/problem+json; charset=utf-8"),
/// );
/// assert!(is_problem_json(&headers));
/// ```
#[must_use]
pub fn is_problem_json(headers: &HeaderMap) -> bool {
    after_media_type(headers, b"application/problem+json")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b';' | b' ' | b'\t')))
}

/// The part of `Content-Type` that follows `media_type`.
///
/// Media types are compared without regard to case (RFC 9110, section 8.3.1).
fn after_media_type<'a>(headers: &'a HeaderMap, media_type: &[u8]) -> Option<&'a [u8]> {
    let value = headers.get(CONTENT_TYPE)?.as_bytes();
    let (head, rest) = value.split_at_checked(media_type.len())?;
    head.eq_ignore_ascii_case(media_type).then_some(rest)
}

#[cfg(test)]
mod tests;

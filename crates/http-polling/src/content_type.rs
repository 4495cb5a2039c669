//! The media types that polling tells apart.

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

/// Whether the message is a gRPC one: `application/grpc`, alone or with a
/// message format (`application/grpc+proto`) or parameters behind it.
///
/// gRPC-Web (`application/grpc-web`) is another protocol and is not meant.
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

/// Whether the message's body is said to be a problem document,
/// `application/problem+json` with or without parameters.
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

/// What stands behind `media_type`, which is compared as RFC 9110, section
/// 8.3.1, asks for: without regard to case.
fn after_media_type<'a>(headers: &'a HeaderMap, media_type: &[u8]) -> Option<&'a [u8]> {
    let value = headers.get(CONTENT_TYPE)?.as_bytes();
    let (head, rest) = value.split_at_checked(media_type.len())?;
    head.eq_ignore_ascii_case(media_type).then_some(rest)
}

#[cfg(test)]
mod tests;

//! The trailers that a connection can carry.

use http::{HeaderValue, Request, Version, header::TE};

use crate::request::glance::Glance;

/// Returns whether the answer to a request can carry trailers (RFC 9110, section 6.5.1).
pub(crate) fn carries_trailers<B>(request: &Request<B>, glance: Glance) -> bool {
    let codings = |value: &HeaderValue| {
        let mut codings = value.as_bytes().split(|byte| *byte == b',');
        codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    };
    request.version() >= Version::HTTP_2
        || glance.te && request.headers().get_all(TE).iter().any(codings)
}

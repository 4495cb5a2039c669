//! Closing of connections whose clients wait: a pending answer with a long delay carries
//! `Connection: close` (RFC 9112, section 9.6), so that no socket is open until the next poll.
//!
//! One bit stores whether a connection may be closed, since the request is with its handler by the
//! time of the answer. [`Glance`](crate::request::glance::Glance) finds it in its one pass.

use http::{HeaderMap, HeaderValue, Version, header::CONNECTION};

/// Returns whether proxies add the header of this name.
#[inline]
pub(crate) fn is_of_proxy(name: &str) -> bool {
    matches!(name, "via" | "forwarded") || name.starts_with("x-forwarded-")
}

/// Returns whether the connection serves this client alone and stays open by default: it is
/// HTTP/1.1, without headers of a proxy.
#[inline]
pub(crate) fn may_close(version: Version, proxied: bool) -> bool {
    version == Version::HTTP_11 && !proxied
}

/// Closes the connection after this answer, if the version of HTTP has a field for that.
pub(crate) fn close(version: Version, headers: &mut HeaderMap) {
    if version < Version::HTTP_2 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

//! Connections are closed while their clients wait: a pending answer whose delay is long carries
//! `Connection: close` (RFC 9112, section 9.6), so that no socket is open until the next poll.
//!
//! One bit says whether a connection may be closed. It is looked up on the pass over the headers that each
//! request goes through in any case: the submission's request is with its handler by the time of
//! the answer.

use http::{HeaderMap, HeaderValue, Version, header::CONNECTION};

/// Returns whether a header, by its name, is one that proxies add.
#[inline]
pub(crate) fn is_of_proxy(name: &str) -> bool {
    matches!(name, "via" | "forwarded") || name.starts_with("x-forwarded-")
}

/// Returns whether the connection serves this client alone, and stays open by default: it is
/// HTTP/1.1, and no proxy has added its headers.
#[inline]
pub(crate) fn may_close(version: Version, proxied: bool) -> bool {
    version == Version::HTTP_11 && !proxied
}

/// Has the connection closed after this answer, if the version of HTTP has a field for that.
pub(crate) fn close(version: Version, headers: &mut HeaderMap) {
    if version < Version::HTTP_2 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

//! Comparing origins (RFC 6454).

use http::{Uri, uri::Authority};

/// As [`http_polling::same_origin`], and fast for two URIs of which the one
/// was resolved against the other.
pub(crate) fn same_origin(a: &Uri, b: &Uri) -> bool {
    let same_text = a.authority().map(Authority::as_str) == b.authority().map(Authority::as_str);
    (same_text && a.scheme() == b.scheme()) || http_polling::same_origin(a, b)
}

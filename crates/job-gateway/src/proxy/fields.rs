//! The fields of requests and responses.

use http::{HeaderMap, HeaderName};

/// Removes the fields whose names are such.
pub(super) fn remove_where(headers: &mut HeaderMap, is_removed: impl Fn(&HeaderName) -> bool) {
    let names = headers.keys().filter(|name| is_removed(name));
    for name in names.cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
}

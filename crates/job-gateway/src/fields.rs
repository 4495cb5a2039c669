//! The fields of requests and responses.

use http::{HeaderMap, HeaderName};

/// Removes the fields whose names are such.
pub(crate) fn remove_where(headers: &mut HeaderMap, is_removed: impl Fn(&HeaderName) -> bool) {
    let names = headers.keys().filter(|name| is_removed(name));
    for name in names.cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
}

/// Removes the fields whose names begin so.
pub(crate) fn remove_beginning(headers: &mut HeaderMap, prefix: &str) {
    remove_where(headers, |name| name.as_str().starts_with(prefix));
}

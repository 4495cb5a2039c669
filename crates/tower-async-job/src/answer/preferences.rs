//! The honoured preferences (RFC 7240, section 3).

use http::{HeaderMap, HeaderValue};
use http_polling::{PREFERENCE_APPLIED, Prefer, PreferenceApplied};

/// Adds the honoured preferences of a submission. The wait is the granted one.
pub(crate) fn apply_preferences(headers: &mut HeaderMap, prefer: &Prefer) {
    let mut applied = PreferenceApplied::new();
    if prefer.respond_async() {
        applied = applied.with_respond_async();
    }
    if let Some(wait) = prefer.wait() {
        applied = applied.with_wait(wait);
    }
    applied.append_to(headers);
}

/// Adds the preference `callback` (OData 4.01, section 8.2.8) to the announcement of a job whose end
/// is notified of.
pub(crate) fn apply_callback(headers: &mut HeaderMap) {
    headers.append(PREFERENCE_APPLIED, HeaderValue::from_static("callback"));
}

/// Adds the granted wait to an answer that came within it (RFC 7240, section 3).
pub(crate) fn apply_wait(headers: &mut HeaderMap, prefer: &Prefer) {
    if let Some(wait) = prefer.wait() {
        PreferenceApplied::new().with_wait(wait).append_to(headers);
    }
}

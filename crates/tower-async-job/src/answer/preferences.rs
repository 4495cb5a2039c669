//! The preferences that were honoured (RFC 7240, section 3).

use http::HeaderMap;
use http_polling::{Prefer, PreferenceApplied};

/// Says what was honoured of what a submission preferred. The wait is the one that was given.
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

/// Says of an answer that came within the inline wait how long it would have been waited for (RFC 7240,
/// section 3).
pub(crate) fn apply_wait(headers: &mut HeaderMap, prefer: &Prefer) {
    if let Some(wait) = prefer.wait() {
        PreferenceApplied::new().with_wait(wait).append_to(headers);
    }
}

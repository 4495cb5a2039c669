//! The headers that most answers of the layer have.

use http::{HeaderMap, HeaderValue, header::CACHE_CONTROL};
use http_polling::{JOB_STATUS, JobState};

/// The number of headers of a pending answer, including those that the server adds.
pub(crate) const USUAL_HEADERS: usize = 9;

pub(crate) fn set_state(headers: &mut HeaderMap, state: JobState) {
    headers.insert(JOB_STATUS, state.header_value());
}

pub(crate) fn set_no_store(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

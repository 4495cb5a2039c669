//! The answer of the status URL.

use http::{Response, StatusCode};
use http_polling::{JSON, set_retry_after};
use tower_async_job_core::JobRecord;

use crate::{
    answer::{document::document, pending::known, response::json},
    body::StoredBody,
    headers::set_state,
    node::front::Front,
};

/// Returns the status document in any state: for `{job}/status`, and as the answer to a
/// cancellation.
///
/// For a pending job it has a Retry-After like pending answers.
pub(crate) fn status(
    front: &Front,
    record: &JobRecord,
    status: StatusCode,
) -> Response<StoredBody> {
    let id = record.id.encode();
    let mut document = document(record, id.as_str());
    let is_pending = record.state.is_pending();
    let delay = is_pending.then(|| front.node.retry_after(&record.id, &known(front, record)));
    if let Some(delay) = delay {
        document = document.with_retry_after(delay);
    }
    let mut response = json(JSON, document.to_json());
    let headers = response.headers_mut();
    set_state(headers, record.state);
    if let Some(delay) = delay {
        set_retry_after(headers, delay);
    }
    *response.status_mut() = status;
    response
}

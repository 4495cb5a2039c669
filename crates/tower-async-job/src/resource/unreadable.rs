//! The answers where the store cannot be read.

use http::Response;
use tower_async_job_core::{JobId, StoreError};

use crate::{answer, body::StoredBody, resource::page};

/// As [`unavailable`], for a client that may be looking at a page.
pub(super) fn unreadable(page: bool, id: &JobId, error: &StoreError) -> Response<StoredBody> {
    let mut response = unavailable(id, error);
    if page {
        page::refresh(response.headers_mut());
    }
    response
}

pub(super) fn unavailable(id: &JobId, error: &StoreError) -> Response<StoredBody> {
    tracing::warn!(%error, job = ?id, "the job store could not be read");
    answer::unavailable()
}

//! The answers if the store cannot be read.

use http::Response;
use tower_async_job_core::{JobId, StoreError};

use crate::{answer, body::StoredBody, resource::page};

/// Returns the answer for a job that cannot be read, as a page if the client shows one.
pub(super) fn unreadable(page: bool, id: &JobId, error: &StoreError) -> Response<StoredBody> {
    let mut response = answer::unreadable(error, Some(id));
    if page {
        page::refresh(response.headers_mut());
    }
    response
}

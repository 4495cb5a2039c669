//! The answers if the store cannot be read.

use http::Response;
use tower_async_job_core::StoreError;

use crate::{answer, body::StoredBody, resource::page};

/// Returns the answer for a job that cannot be read, as a page if the client shows one.
pub(super) fn unreadable(page: bool, error: &StoreError) -> Response<StoredBody> {
    let mut response = answer::unreadable(error);
    if page {
        page::refresh(response.headers_mut());
    }
    response
}

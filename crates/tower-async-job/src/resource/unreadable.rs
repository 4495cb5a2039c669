//! The answers where the store cannot be read.

use http::Response;
use tower_async_job_core::{JobId, StoreError};

use crate::{answer, body::StoredBody, resource::page};

/// The answer where a job cannot be read, to a client that may be looking at a page.
pub(super) fn unreadable(page: bool, id: &JobId, error: &StoreError) -> Response<StoredBody> {
    let mut response = answer::unreadable(error, Some(id));
    if page {
        page::refresh(response.headers_mut());
    }
    response
}

//! The answers if the store cannot be read.

use http::Response;
use tower_async_job_core::StoreError;

use crate::{answer, body::StoredBody, resource::page};

/// Returns an answer whose first part is read; another one if it cannot be read.
pub(super) async fn opened(mut response: Response<StoredBody>, page: bool) -> Response<StoredBody> {
    match response.body_mut().open().await {
        Ok(()) => response,
        Err(error) => unreadable(page, &error),
    }
}

/// Returns the answer for a job that cannot be read, as a page if the client shows one.
pub(super) fn unreadable(page: bool, error: &StoreError) -> Response<StoredBody> {
    let mut response = answer::unreadable(error);
    if page {
        page::refresh(response.headers_mut());
    }
    response
}

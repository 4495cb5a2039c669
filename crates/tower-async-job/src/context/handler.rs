//! The context of a handler that has not ended.

use std::ops::Deref;

use crate::context::{job::JobContext, reason::CancelReason};

/// The context of a call whose handler has not ended. When this is dropped, so is the handler's
/// future, or the answer's body: what is left of the context elsewhere is cancelled.
#[derive(Debug)]
pub(crate) struct HandlerContext(JobContext);

impl HandlerContext {
    pub(crate) fn new(attempt: u32) -> Self {
        Self(JobContext::new(attempt))
    }
}

impl Deref for HandlerContext {
    type Target = JobContext;

    fn deref(&self) -> &JobContext {
        &self.0
    }
}

impl Drop for HandlerContext {
    #[inline]
    fn drop(&mut self) {
        if self.is_shared() {
            self.cancel(CancelReason::Over);
        }
    }
}

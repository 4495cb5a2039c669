//! The context of a running handler.

use std::ops::Deref;

use crate::context::{job::JobContext, reason::CancelReason};

/// The context of a call whose handler runs. It is dropped with the handler's future or the
/// answer's body, which cancels all other clones of the context.
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

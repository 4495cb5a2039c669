//! The context of a handler that has not ended.

use std::{ops::Deref, sync::Arc};

use crate::context::job::JobContext;

/// The context of a call whose handler has not ended. When this is dropped, so is the handler's
/// future, or the answer's body: what is left of the context elsewhere is cancelled.
#[derive(Debug)]
pub(crate) struct HandlerContext(JobContext);

impl HandlerContext {
    pub(crate) fn new(attempt: u32) -> Self {
        Self(JobContext::new(attempt))
    }

    /// Returns whether there is more of the context than this.
    #[inline]
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0.inner) > 1
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
            self.cancel();
        }
    }
}

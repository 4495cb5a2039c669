use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use super::{jobs::Jobs, wake::Wake};
use crate::{JobId, StoreError, sync::Arc};

/// Resolves when the job is no longer pending, or is not there. Dropping it frees its place.
#[must_use]
pub(super) struct Ended<'a> {
    jobs: &'a Jobs,
    id: &'a JobId,
    place: Option<(Arc<Wake>, u64)>,
}

impl<'a> Ended<'a> {
    pub(super) fn new(jobs: &'a Jobs, id: &'a JobId) -> Self {
        Self {
            jobs,
            id,
            place: None,
        }
    }

    /// Makes sure that the end will wake the task. False if there is nothing to wait for.
    fn subscribe(&mut self, waker: &Waker) -> bool {
        match &self.place {
            Some((wake, ticket)) => {
                wake.register(Some(*ticket), waker);
            }
            None => {
                let Some(wake) = self.jobs.wake_of(self.id) else {
                    return false;
                };
                let ticket = wake.register(None, waker);
                self.place = Some((wake, ticket));
            }
        }
        true
    }

    fn is_pending(&self) -> bool {
        self.jobs.is_pending(self.id)
    }
}

impl Future for Ended<'_> {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        #[cfg(http_polling_loom)]
        if self.jobs.looks_before_subscribing {
            // The wrong order, for the test that shows it to be wrong.
            return match self.is_pending() && self.subscribe(context.waker()) {
                true => Poll::Pending,
                false => Poll::Ready(Ok(())),
            };
        }
        if self.subscribe(context.waker()) && self.is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        if let Some((wake, ticket)) = self.place.take() {
            wake.deregister(ticket);
        }
    }
}

//! How much is worked on at once.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// How many requests may be worked on at once, and how many more may wait for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max_running: usize,
    pub(crate) max_queued: usize,
}

pub(crate) struct Capacity {
    /// The places of those that run or wait.
    admitted: Arc<Semaphore>,
    /// The places of those that run.
    running: Arc<Semaphore>,
}

impl Capacity {
    pub(crate) fn new(limits: Limits) -> Self {
        let semaphore =
            |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Self {
            admitted: semaphore(limits.max_running.saturating_add(limits.max_queued)),
            running: semaphore(limits.max_running),
        }
    }

    /// `None` when all places are taken.
    pub(crate) fn admit(&self) -> Option<Box<Admission>> {
        let admitted = self.admitted.clone().try_acquire_owned().ok()?;
        let place = match self.running.clone().try_acquire_owned() {
            Ok(permit) => Place::Running(permit),
            Err(_) => Place::Queued(Box::pin(self.running.clone().acquire_owned())),
        };
        Some(Box::new(Admission {
            place,
            _admitted: admitted,
        }))
    }
}

/// A request's place among those that are worked on or wait for it; given back on drop.
pub(crate) struct Admission {
    place: Place,
    _admitted: OwnedSemaphorePermit,
}

type Acquire = dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send;

enum Place {
    Queued(Pin<Box<Acquire>>),
    Running(#[expect(dead_code, reason = "held until dropped")] OwnedSemaphorePermit),
}

impl Admission {
    /// Ready once the work may run.
    pub(crate) fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Place::Queued(acquire) = &mut self.place {
            match acquire.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(permit)) => self.place = Place::Running(permit),
                // The semaphore is never closed.
                Poll::Ready(Err(_)) => {}
            }
        }
        Poll::Ready(())
    }

    pub(crate) fn is_queued(&self) -> bool {
        matches!(self.place, Place::Queued(_))
    }
}

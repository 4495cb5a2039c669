//! The places of a worker: the number of jobs that it runs at once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

#[derive(Debug)]
pub(crate) struct Places {
    free: AtomicUsize,
    /// Notified when one becomes free.
    pub(crate) freed: Notify,
}

impl Places {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            free: AtomicUsize::new(places),
            freed: Notify::new(),
        }
    }

    pub(crate) fn free(&self) -> usize {
        self.free.load(Ordering::Acquire)
    }

    /// Takes a place, which must be free.
    pub(crate) fn take(self: &Arc<Self>) -> Place {
        self.free.fetch_sub(1, Ordering::AcqRel);
        Place(self.clone())
    }
}

/// The place of a job; free again when dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.free.fetch_add(1, Ordering::AcqRel);
        self.0.freed.notify_one();
    }
}

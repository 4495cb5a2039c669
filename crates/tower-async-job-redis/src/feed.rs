//! The events that wait to be sent, and requests to check what is watched.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;
use tower_async_job_core::JobId;

/// The maximum number of ids in one entry.
const ENTRY: usize = 1024;

/// The events that wait to be sent, and the state of the reader.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    queue: Mutex<Vec<JobId>>,
    arrival: Notify,
    /// Asks for a check of all that is watched.
    recheck: Notify,
    is_deaf: AtomicBool,
}

impl Feed {
    /// Sends an event to other nodes, soon.
    pub(crate) fn publish(&self, id: JobId) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        // The fallback finds events that are lost.
        if queue.len() < 64 * ENTRY && queue.last() != Some(&id) {
            queue.push(id);
        }
        drop(queue);
        self.arrival.notify_one();
    }

    /// Ignores all events from now on.
    pub(crate) fn be_deaf(&self) {
        self.is_deaf.store(true, Ordering::Relaxed);
    }

    /// Asks for a check of all that is watched.
    pub(crate) fn ask_recheck(&self) {
        self.recheck.notify_one();
    }

    /// Waits until all that is watched is to be checked.
    pub(crate) async fn recheck(&self) {
        self.recheck.notified().await;
    }

    pub(crate) fn is_deaf(&self) -> bool {
        self.is_deaf.load(Ordering::Relaxed)
    }

    /// Waits for events to send.
    pub(crate) async fn arrived(&self) {
        self.arrival.notified().await;
    }

    /// Takes some of the events to send.
    pub(crate) fn take(&self) -> Vec<JobId> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let count = queue.len().min(ENTRY);
        queue.drain(..count).collect()
    }
}

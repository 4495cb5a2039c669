//! Deliveries that are not written yet.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;
use tower_async_job_core::{JobId, JobIdMap};

/// A delivery of a job's result to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) at: Instant,
    /// The time from then for which the result is kept.
    pub(crate) keep: Duration,
}

/// The maximum number of notes. More are lost, so that their results are kept longer.
const MOST: usize = 100_000;

/// The latest delivery of each job, until it is written. Reads of this process write it first.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    deliveries: Mutex<JobIdMap<Delivery>>,
    arrival: Notify,
}

impl Notes {
    pub(crate) fn add(&self, id: JobId, delivery: Delivery) {
        let mut deliveries = self.lock();
        if deliveries.len() < MOST || deliveries.contains_key(&id) {
            deliveries.insert(id, delivery);
            drop(deliveries);
            self.arrival.notify_one();
        }
    }

    pub(crate) fn of(&self, id: &JobId) -> Option<Delivery> {
        self.lock().get(id).copied()
    }

    /// Waits for notes, and returns them. They stay until they are [written](Self::forget).
    pub(crate) async fn arrived(&self) -> Vec<(JobId, Delivery)> {
        self.arrival.notified().await;
        self.lock().iter().map(|(id, note)| (*id, *note)).collect()
    }

    /// Forgets a note that is written, unless there is a later one.
    pub(crate) fn forget(&self, id: &JobId, delivery: &Delivery) {
        let mut deliveries = self.lock();
        if deliveries.get(id) == Some(delivery) {
            deliveries.remove(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, JobIdMap<Delivery>> {
        self.deliveries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

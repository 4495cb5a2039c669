//! Deliveries that are not written yet.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use tower_async_job_core::{JobId, JobIdMap};

use crate::time::Micros;

/// A delivery of a job's result to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) at: Micros,
    /// The time at which the retention ends, unless it ends sooner.
    pub(crate) until: Option<Micros>,
}

/// The maximum number of notes. More are lost, so that their results are kept longer.
const MOST: usize = 100_000;

/// The latest delivery of each job, until it is written. Reads of this process see it before.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    deliveries: Mutex<JobIdMap<Delivery>>,
    /// The number of notes, so that reads need no lock while there are none.
    len: AtomicUsize,
}

impl Notes {
    pub(crate) fn add(&self, id: JobId, delivery: Delivery) {
        let mut deliveries = self.lock();
        if deliveries.len() < MOST || deliveries.contains_key(&id) {
            let note = deliveries.entry(id).or_insert(delivery);
            note.at = delivery.at;
            note.until = delivery.until.or(note.until);
            self.len.store(deliveries.len(), Ordering::Release);
        }
    }

    /// Returns the note of a job.
    pub(crate) fn of(&self, id: &JobId) -> Option<Delivery> {
        if self.len.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.lock().get(id).copied()
    }

    /// Returns all notes, which stay until they are [written](Self::forget).
    pub(crate) fn all(&self) -> Vec<(JobId, Delivery)> {
        if self.len.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let deliveries = self.lock();
        deliveries.iter().map(|(id, note)| (*id, *note)).collect()
    }

    /// Forgets notes that are written, unless there are later ones.
    pub(crate) fn forget(&self, written: &[(JobId, Delivery)]) {
        if written.is_empty() {
            return;
        }
        let mut deliveries = self.lock();
        for (id, delivery) in written {
            if deliveries.get(id) == Some(delivery) {
                deliveries.remove(id);
            }
        }
        self.len.store(deliveries.len(), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, JobIdMap<Delivery>> {
        self.deliveries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

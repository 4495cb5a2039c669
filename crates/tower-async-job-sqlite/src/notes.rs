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

/// The maximum number of notes that one transaction writes.
const AT_ONCE: usize = 1000;

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
        if !self.are_any() {
            return None;
        }
        self.lock().get(id).copied()
    }

    /// Returns whether there are notes.
    pub(crate) fn are_any(&self) -> bool {
        self.len.load(Ordering::Acquire) > 0
    }

    /// Returns whether there are more notes than one transaction writes.
    pub(crate) fn are_many(&self) -> bool {
        self.len.load(Ordering::Acquire) > AT_ONCE
    }

    /// Returns the notes that one transaction writes, which stay until they are
    /// [written](Self::forget).
    pub(crate) fn some(&self) -> Vec<(JobId, Delivery)> {
        if !self.are_any() {
            return Vec::new();
        }
        let deliveries = self.lock();
        let some = deliveries.iter().take(AT_ONCE);
        some.map(|(id, note)| (*id, *note)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_writes_a_part_of_many_notes() {
        let notes = Notes::default();
        for at in 0..=AT_ONCE as i64 {
            notes.add(JobId::random(), Delivery { at, until: None });
        }
        assert!(notes.are_many());
        let some = notes.some();
        assert_eq!(some.len(), AT_ONCE);
        notes.forget(&some);
        assert!(!notes.are_many());
        let [(id, delivery)] = notes.some()[..] else {
            panic!("one is left");
        };
        assert_eq!(notes.of(&id), Some(delivery));
    }
}

//! Deliveries that are not written yet.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;
use tokio_postgres::types::Type;
use tower_async_job_core::{JobId, JobIdMap};

use crate::{
    database::{Database, Retry},
    job::ids,
    time::micros,
};

/// The maximum number of notes. More are lost, so that their results are kept longer.
const MOST: usize = 100_000;

/// The maximum number of notes in one statement.
const BATCH: usize = 512;

/// The deliveries that shorten the retention of results. They are written in the background, and
/// reads of this node wait for them.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    deliveries: Mutex<JobIdMap<Duration>>,
    /// The number of notes, so that reads need no lock while there are none.
    len: AtomicUsize,
    arrival: Notify,
    written: Notify,
}

impl Notes {
    pub(crate) fn add(&self, id: JobId, keep: Duration) {
        let mut deliveries = self.lock();
        if deliveries.len() < MOST {
            deliveries.insert(id, keep);
            self.len.store(deliveries.len(), Ordering::Release);
            drop(deliveries);
            self.arrival.notify_one();
        }
    }

    /// Waits until the note of this job is written, or that of all jobs.
    pub(crate) async fn settle(&self, id: Option<&JobId>) {
        while self.len.load(Ordering::Acquire) > 0 {
            let written = self.written.notified();
            let waits = match id {
                Some(id) => self.lock().contains_key(id),
                None => true,
            };
            if !waits {
                return;
            }
            if self.len.load(Ordering::Acquire) > 0 {
                written.await;
            }
        }
    }

    /// Writes notes as they arrive.
    pub(crate) async fn run(self: Arc<Self>, database: Arc<Database>) {
        loop {
            self.arrival.notified().await;
            while self.len.load(Ordering::Acquire) > 0 {
                let batch: Vec<_> = {
                    let deliveries = self.lock();
                    let notes = deliveries.iter().map(|(id, keep)| (*id, *keep));
                    notes.take(BATCH).collect()
                };
                let jobs = ids(batch.iter().map(|(id, _)| *id));
                let keep: Vec<_> = batch.iter().map(|(_, keep)| micros(*keep)).collect();
                let parameters = [
                    (&jobs as _, Type::UUID_ARRAY),
                    (&keep as _, Type::INT8_ARRAY),
                ];
                // An error loses them, which only keeps results longer.
                let _ = database.call("deliver", &parameters, Retry::Always).await;
                let mut deliveries = self.lock();
                for (id, _) in &batch {
                    deliveries.remove(id);
                }
                self.len.store(deliveries.len(), Ordering::Release);
                drop(deliveries);
                self.written.notify_waiters();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, JobIdMap<Duration>> {
        self.deliveries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

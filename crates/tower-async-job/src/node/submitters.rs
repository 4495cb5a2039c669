//! The clients that still wait for the answer to their submission while its job is stored already.
//!
//! Such a client may get the result as that answer. Then the end of its job needs no notification.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tower_async_job_core::{JobId, JobIdMap};

use crate::{observe::recent::Recent, signal::Signal};

#[derive(Default)]
pub(crate) struct Submitters {
    /// Each signal is set once its client no longer waits.
    waiting: Mutex<JobIdMap<Arc<Signal>>>,
    answered: Recent<()>,
}

impl Submitters {
    /// Notes that the client of a job waits, until the guard is dropped.
    pub(crate) fn enter(self: &Arc<Self>, id: JobId) -> Submitter {
        self.waiting().insert(id, Arc::default());
        Submitter {
            all: self.clone(),
            id,
        }
    }

    /// Returns whether the client of an ended job had the result as the answer to its submission.
    /// Waits for that answer.
    pub(crate) async fn had_result(&self, id: &JobId) -> bool {
        let signal = self.waiting().get(id).cloned();
        if let Some(signal) = signal {
            signal.wait().await;
        }
        self.answered.find(id).is_some()
    }

    fn waiting(&self) -> MutexGuard<'_, JobIdMap<Arc<Signal>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client that waits for the answer to its submission.
pub(crate) struct Submitter {
    all: Arc<Submitters>,
    id: JobId,
}

impl Submitter {
    /// Notes that the answer is the result.
    pub(crate) fn has_result(self) {
        self.all.answered.insert(self.id, ());
    }
}

impl Drop for Submitter {
    fn drop(&mut self) {
        let signal = self.all.waiting().remove(&self.id);
        if let Some(signal) = signal {
            signal.set();
        }
    }
}

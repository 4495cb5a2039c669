//! The results that are being recorded.

mod gathered;
mod task;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
};
use tower_async_job_core::{JobId, Lease, StoreError};

use crate::object::{Object, Objects};

use self::task::{Message, Outcome, Task};

pub(crate) use self::task::Written;

/// The results that are being recorded by this process.
#[derive(Debug, Default)]
pub(crate) struct Uploads(Mutex<HashMap<Lease, Upload>>);

impl Uploads {
    fn lock(&self) -> MutexGuard<'_, HashMap<Lease, Upload>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, lease: &Lease) -> Option<Upload> {
        self.lock().get(lease).cloned()
    }

    /// Returns the recording of a run; begins it with its first chunk.
    pub(crate) fn get_or_begin(
        &self,
        lease: &Lease,
        index: u32,
        begin: impl FnOnce() -> Result<Upload, StoreError>,
    ) -> Result<Upload, StoreError> {
        let mut uploads = self.lock();
        if let Some(upload) = uploads.get(lease) {
            return Ok(upload.clone());
        }
        if index > 0 {
            return Err(given_up());
        }
        let upload = begin()?;
        uploads.insert(*lease, upload.clone());
        Ok(upload)
    }

    /// Gives up a recording: its upload is aborted, and its object deleted unless its job may have
    /// ended with it.
    pub(crate) fn give_up(&self, lease: &Lease) {
        self.lock().remove(lease);
    }

    /// Gives up the recordings of a job.
    pub(crate) fn give_up_job(&self, id: &JobId) {
        self.lock().retain(|lease, _| lease.id != *id);
    }

    /// Returns the recordings that have not been used since the last call.
    pub(crate) fn idle(&self) -> Vec<Lease> {
        let uploads = self.lock();
        let idle = uploads.iter().filter(|(_, upload)| upload.was_idle());
        idle.map(|(lease, _)| *lease).collect()
    }
}

/// Returns the error of a run whose chunks are gone, so that it must be repeated.
pub(crate) fn given_up() -> StoreError {
    StoreError::lease_lost().with_source("the chunks of its result were given up")
}

/// A result that is being recorded by a task. Once all clones are dropped, the task gives it up.
#[derive(Clone)]
pub(crate) struct Upload(Arc<Connection>);

struct Connection {
    messages: mpsc::Sender<Message>,
    outcome: watch::Receiver<Option<Outcome>>,
    is_kept: Arc<AtomicBool>,
    was_used: AtomicBool,
    /// Dropping it notifies the task.
    _alive: oneshot::Sender<()>,
}

impl Upload {
    /// Begins to record a result, which goes outside if it is longer than the threshold.
    pub(crate) fn begin(
        objects: Arc<Objects>,
        object: Object,
        threshold: u64,
    ) -> Result<Self, StoreError> {
        let runtime = Handle::try_current().map_err(StoreError::unavailable)?;
        let (messages, received) = mpsc::channel(1);
        let (told, outcome) = watch::channel(None);
        let (alive, given_up) = oneshot::channel();
        let is_kept = Arc::new(AtomicBool::new(false));
        let task = Task {
            objects,
            object,
            threshold,
            received,
            outcome: told,
            given_up,
            is_kept: is_kept.clone(),
        };
        runtime.spawn(task.run());
        Ok(Self(Arc::new(Connection {
            messages,
            outcome,
            is_kept,
            was_used: AtomicBool::new(true),
            _alive: alive,
        })))
    }

    /// Hands a chunk over, once there is memory for it.
    pub(crate) async fn write(&self, index: u32, data: Bytes) -> Result<(), StoreError> {
        self.0.was_used.store(true, Ordering::Relaxed);
        let sent = self.0.messages.send(Message::Chunk(index, data)).await;
        sent.map_err(|_| self.failure())
    }

    /// Waits until the result is written, or known to be short. It may be repeated.
    pub(crate) async fn finish(&self) -> Result<Written, StoreError> {
        self.0.was_used.store(true, Ordering::Relaxed);
        // An error: the task has ended, or is about to.
        let _ = self.0.messages.send(Message::Finish).await;
        let mut outcome = self.0.outcome.clone();
        match outcome.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            _ => Err(self.failure()),
        }
    }

    /// Sets whether its object stays when it is dropped.
    pub(crate) fn keep(&self, is_kept: bool) -> bool {
        self.0.is_kept.swap(is_kept, Ordering::AcqRel)
    }

    fn was_idle(&self) -> bool {
        !self.0.was_used.swap(false, Ordering::Relaxed)
    }

    /// Returns the reason why the task takes no more.
    fn failure(&self) -> StoreError {
        match &*self.0.outcome.borrow() {
            Some(Err(error)) => error.clone(),
            _ => given_up(),
        }
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").finish_non_exhaustive()
    }
}

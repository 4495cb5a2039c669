//! Checkpoints: the notes that a run saves for a later run of its job.

use std::{error::Error, fmt, pin::pin, sync::atomic::Ordering};

use bytes::Bytes;

use super::{
    job::{JobContext, Stage},
    saves::{Saves, Written},
};

impl JobContext {
    /// The most bytes of a [checkpoint](Self::save_checkpoint): 64 KiB.
    pub const CHECKPOINT_LIMIT: usize = 64 << 10;

    /// Returns the checkpoint that this run or an earlier one has [saved](Self::save_checkpoint)
    /// last. `None` without one, and if it is empty.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Bytes> {
        self.outbox().saves()?.checkpoint()
    }

    /// Saves a checkpoint, which replaces the previous one: private notes for a later run of the job,
    /// such as the steps that are done, or the name of work that was begun elsewhere. Clients never
    /// see it. An empty one removes it.
    ///
    /// After `Ok`, the store has the checkpoint, and the next run of the job will have it, whatever
    /// happens to this node. It is written with the other reports, so at most once per
    /// [`report_interval`](crate::Builder::report_interval), and again while the store is unreachable.
    ///
    /// Before the request is a job, there is no promise to a client that could be broken: this then
    /// returns at once, and the checkpoint is stored before the job is announced. In an
    /// [inert](Self::inert) context it has no effect.
    ///
    /// A job has further runs only if its request can be
    /// [replayed](crate::Builder::replay_when), or if its [`Policy`](crate::Policy) allows to
    /// [resume](crate::Policy::resume) it.
    ///
    /// Not cancel safe: the checkpoint of a dropped future may be saved or not.
    ///
    /// # Errors
    ///
    /// Fails if the checkpoint is longer than [`CHECKPOINT_LIMIT`](Self::CHECKPOINT_LIMIT), if the
    /// store has no room for it or fails for good to keep it, or if the run is over, such as when
    /// its lease is lost. The store then has the previous one.
    ///
    /// ```
    /// use http::{Request, Response};
    /// use tower_async_job::{CheckpointError, JobContext};
    ///
    /// async fn charge(_order: &str) -> String {
    ///     "receipt-7".to_owned()
    /// }
    ///
    /// async fn handler(request: Request<String>) -> Result<Response<String>, CheckpointError> {
    ///     let job = JobContext::of(&request);
    ///     let receipt = match job.checkpoint() {
    ///         // An earlier run has charged already.
    ///         Some(saved) => String::from_utf8_lossy(&saved).into_owned(),
    ///         None => {
    ///             let receipt = charge(request.body()).await;
    ///             job.save_checkpoint(receipt.clone()).await?;
    ///             receipt
    ///         }
    ///     };
    ///     // … the slow rest of the work …
    ///     Ok(Response::new(receipt))
    /// }
    /// # let _ = handler;
    /// ```
    pub async fn save_checkpoint(
        &self,
        checkpoint: impl Into<Bytes>,
    ) -> Result<(), CheckpointError> {
        let checkpoint = checkpoint.into();
        if checkpoint.len() > Self::CHECKPOINT_LIMIT {
            return Err(CheckpointError(Kind::TooLarge(checkpoint.len())));
        }
        if self.stage() == Stage::Inert {
            return Ok(());
        }
        let (driver, (number, changed)) = {
            let mut outbox = self.outbox();
            let rare = outbox.rare.get_or_insert_default();
            rare.changed = true;
            let saved = rare.saves.get_or_insert_default().save(checkpoint);
            (outbox.driver.take(), saved)
        };
        if let Some(driver) = driver {
            driver.wake();
        }
        loop {
            let mut notified = pin!(changed.notified());
            // Enabled before the fate is read, so that no change in between is missed.
            notified.as_mut().enable();
            if let Some(fate) = self.fate_of(number) {
                return fate;
            }
            notified.await;
        }
    }

    /// Returns the fate of a checkpoint, once it is known.
    fn fate_of(&self, number: u64) -> Option<Result<(), CheckpointError>> {
        let fate = self.outbox().saves()?.fate_of(number);
        if self.stage() == Stage::Call {
            return Some(Ok(()));
        }
        let failure = match fate {
            Some(Written::Stored) => return Some(Ok(())),
            Some(Written::Full) => Kind::Full,
            Some(Written::Failed) => Kind::Failed,
            None if self.is_cancelled() => Kind::Over,
            None => return None,
        };
        Some(Err(CheckpointError(failure)))
    }

    /// Begins a later run of a job, which has the checkpoint of an earlier one.
    pub(crate) fn resume(&self, checkpoint: Bytes) {
        if checkpoint.is_empty() {
            return;
        }
        let saves = Box::new(Saves::of_earlier_run(checkpoint));
        self.outbox().rare.get_or_insert_default().saves = Some(saves);
    }

    /// Notes that a job is being made of the request: from now on, a save waits for the store.
    pub(crate) fn storing(&self) {
        self.set_stage(Stage::Storing);
    }

    /// Notes that the request does not become a job.
    pub(crate) fn unstored(&self) {
        self.set_stage(Stage::Call);
        self.notify_saves();
    }

    /// Notes that the request is a job.
    pub(crate) fn stored(&self) {
        self.set_stage(Stage::Stored);
    }

    /// Returns whether a checkpoint is still to be written.
    pub(crate) fn has_unsaved(&self) -> bool {
        let outbox = self.outbox();
        let rare = outbox.rare.as_ref();
        rare.is_some_and(|rare| rare.is_unsaved())
    }

    /// Notes that the report taken last is in the store.
    pub(crate) fn report_written(&self) {
        if let Some(saves) = self.outbox().saves() {
            saves.note(Written::Stored);
        }
    }

    /// Notes that the store fails for good to take the report taken last, perhaps for lack of room. The
    /// checkpoint before it may be due again.
    pub(crate) fn report_refused(&self, is_full: bool) {
        if let Some(rare) = &mut self.outbox().rare {
            if let Some(saves) = &mut rare.saves {
                saves.note(if is_full {
                    Written::Full
                } else {
                    Written::Failed
                });
            }
            rare.changed |= rare.is_unsaved();
        }
    }

    fn notify_saves(&self) {
        if let Some(saves) = self.outbox().saves() {
            saves.notify();
        }
    }

    fn set_stage(&self, stage: Stage) {
        self.inner.stage.store(stage as u8, Ordering::Release);
    }
}

/// The reason why a [checkpoint](JobContext::save_checkpoint) is not saved.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use tower_async_job::JobContext;
///
/// let job = JobContext::inert();
/// let error = job.save_checkpoint(vec![0; 100_000]).await.unwrap_err();
/// assert!(error.is_too_large());
/// # });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointError(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    TooLarge(usize),
    Full,
    Failed,
    Over,
}

impl CheckpointError {
    /// Returns whether the checkpoint is longer than [`JobContext::CHECKPOINT_LIMIT`].
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        matches!(self.0, Kind::TooLarge(_))
    }

    /// Returns whether the store has no room for the checkpoint.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0 == Kind::Full
    }

    /// Returns whether the run is over, so that nothing of it is stored any more. The
    /// [reason](JobContext::cancel_reason) is that of its cancellation.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0 == Kind::Over
    }
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::TooLarge(size) => {
                let limit = JobContext::CHECKPOINT_LIMIT;
                write!(
                    f,
                    "a checkpoint of {size} bytes is beyond the limit of {limit}"
                )
            }
            Kind::Full => f.write_str("the store has no room for the checkpoint"),
            Kind::Failed => f.write_str("the store failed to keep the checkpoint"),
            Kind::Over => f.write_str("the run is over, and saves no checkpoint"),
        }
    }
}

impl Error for CheckpointError {}

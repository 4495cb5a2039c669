//! The saves of checkpoints: which of them the store has.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;

/// The latest checkpoint of a job, and the fate of its writes. Checkpoints have numbers, from 1.
#[derive(Default)]
pub(super) struct Saves {
    checkpoint: Bytes,
    /// The number of the checkpoint; 0 without one.
    latest: u64,
    /// The latest one that was taken to be written.
    taken: u64,
    /// The latest one that the store has, and the latest one for which it has no room.
    written: u64,
    refused: u64,
    /// Notified of each change of their fate; created by the first save.
    changed: Option<Arc<Notify>>,
}

impl Saves {
    /// Returns those of a run whose job has this checkpoint of an earlier one.
    pub(super) fn of_earlier_run(checkpoint: Bytes) -> Self {
        Self {
            checkpoint,
            latest: 1,
            written: 1,
            ..Self::default()
        }
    }

    /// Returns the latest checkpoint, unless it is empty.
    pub(super) fn checkpoint(&self) -> Option<Bytes> {
        (!self.checkpoint.is_empty()).then(|| self.checkpoint.clone())
    }

    /// Replaces the checkpoint. Returns its number, and the notice of changes of its fate.
    pub(super) fn save(&mut self, checkpoint: Bytes) -> (u64, Arc<Notify>) {
        self.checkpoint = checkpoint;
        self.latest += 1;
        (self.latest, self.changed.get_or_insert_default().clone())
    }

    /// Returns whether the latest checkpoint is still to be written.
    pub(super) fn is_unsaved(&self) -> bool {
        self.latest > self.written.max(self.refused)
    }

    /// Takes the checkpoint that is still to be written.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        self.is_unsaved().then(|| {
            self.taken = self.latest;
            self.checkpoint.clone()
        })
    }

    pub(super) fn is_written(&self, number: u64) -> bool {
        self.written >= number
    }

    pub(super) fn is_refused(&self, number: u64) -> bool {
        self.refused >= number
    }

    /// Notes that the store has the checkpoint that was taken last.
    pub(super) fn note_written(&mut self) {
        self.written = self.taken.max(self.written);
        self.notify();
    }

    /// Notes that the store has no room for the checkpoint that was taken last.
    pub(super) fn note_refused(&mut self) {
        self.refused = self.taken;
        self.notify();
    }

    /// Notes that nothing of it is in the store any more.
    pub(super) fn unsave(&mut self) {
        (self.written, self.refused) = (0, 0);
    }

    /// Notifies the saves that wait.
    pub(super) fn notify(&self) {
        if let Some(changed) = &self.changed {
            changed.notify_waiters();
        }
    }
}

//! The saves of checkpoints: which of them the store has.

use std::{mem, sync::Arc};

use bytes::Bytes;
use tokio::sync::Notify;

/// The checkpoints of a job, and the fate of their writes.
#[derive(Default)]
pub(super) struct Saves {
    /// The one that is saved last, of those that the store has not refused.
    latest: Checkpoint,
    /// The one that was taken last to be written.
    taken: Checkpoint,
    /// The one that the store has acknowledged last.
    acknowledged: Checkpoint,
    /// The number of the one that the record has, as far as it is known.
    written: u64,
    /// The number of the one that the store has refused last, and whether for lack of room.
    refused: u64,
    is_full: bool,
    /// Notified of each change of their fate; created by the first save.
    changed: Option<Arc<Notify>>,
}

/// A checkpoint, with its number from 1; the default stands for none.
#[derive(Clone, Default)]
struct Checkpoint {
    number: u64,
    bytes: Bytes,
}

/// The end of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Stored,
    /// The store has no room.
    Full,
    /// The store fails for another reason, which lasts.
    Failed,
}

impl Saves {
    /// Returns those of a run whose job has this checkpoint of an earlier one.
    pub(super) fn of_earlier_run(bytes: Bytes) -> Self {
        let latest = Checkpoint { number: 1, bytes };
        Self {
            acknowledged: latest.clone(),
            written: latest.number,
            latest,
            ..Self::default()
        }
    }

    /// Returns the latest checkpoint, unless it is empty.
    pub(super) fn checkpoint(&self) -> Option<Bytes> {
        let bytes = &self.latest.bytes;
        (!bytes.is_empty()).then(|| bytes.clone())
    }

    /// Replaces the checkpoint. Returns its number, and the notice of changes of its fate.
    pub(super) fn save(&mut self, bytes: Bytes) -> (u64, Arc<Notify>) {
        let number = self.latest.number.max(self.refused) + 1;
        self.latest = Checkpoint { number, bytes };
        (number, self.changed.get_or_insert_default().clone())
    }

    /// Returns whether the latest checkpoint is still to be written.
    pub(super) fn is_unsaved(&self) -> bool {
        self.latest.number != self.written
    }

    /// Takes the checkpoint that is still to be written.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        self.is_unsaved().then(|| {
            self.taken = self.latest.clone();
            self.taken.bytes.clone()
        })
    }

    /// Returns the fate of a checkpoint, or of a later one that has replaced it.
    pub(super) fn fate_of(&self, number: u64) -> Option<Written> {
        if self.written >= number {
            return Some(Written::Stored);
        }
        (self.refused >= number).then_some(match self.is_full {
            true => Written::Full,
            false => Written::Failed,
        })
    }

    /// Notes the end of the write of the checkpoint that was taken last. If it is refused, the one
    /// before is the latest again, unless there is a later one.
    pub(super) fn note(&mut self, end: Written) {
        let taken = mem::take(&mut self.taken);
        if taken.number == 0 {
            return;
        }
        if end == Written::Stored {
            self.written = taken.number;
            self.acknowledged = taken;
        } else {
            self.refused = self.refused.max(taken.number);
            self.is_full = end == Written::Full;
            if self.acknowledged.number == taken.number {
                // The record is a new one, and the store takes it no more.
                self.acknowledged = Checkpoint::default();
            }
            if self.latest.number == taken.number {
                self.latest = self.acknowledged.clone();
            }
        }
        self.notify();
    }

    /// Notes that nothing of it is in the store any more.
    pub(super) fn unsave(&mut self) {
        self.written = 0;
    }

    /// Notifies the saves that wait.
    pub(super) fn notify(&self) {
        if let Some(changed) = &self.changed {
            changed.notify_waiters();
        }
    }
}

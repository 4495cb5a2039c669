//! The growth of the log.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use rusqlite::{Connection, hooks::Wal};

/// The pages in the log from which a checkpoint is worth its cost.
const WORTH_CHECKPOINT: u64 = 1000;

/// The log, as the connection that writes has left it.
pub(super) struct Log {
    /// The number of its pages after the latest commit.
    pages: Arc<AtomicU64>,
    /// The number of its pages at the latest checkpoint.
    checkpointed: u64,
}

impl Log {
    /// Counts the pages that this connection writes from now on.
    pub(super) fn of(connection: &mut Connection) -> rusqlite::Result<Self> {
        let pages = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&pages);
        connection.wal_hook(Some(move |_: &mut Wal, pages: i32| {
            counter.store(pages.unsigned_abs().into(), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self {
            pages,
            checkpointed: 0,
        })
    }

    /// Returns the number of pages if a checkpoint is due, which the caller makes.
    pub(super) fn due(&mut self) -> Option<u64> {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.checkpointed {
            // The log began again.
            self.checkpointed = 0;
        }
        if pages < self.checkpointed + WORTH_CHECKPOINT {
            return None;
        }
        self.checkpointed = pages;
        Some(pages)
    }
}

//! The thread that writes.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::Thread,
    time::Instant,
};

use rusqlite::{Connection, hooks::Wal, wal::CheckpointMode};
use tower_async_job_core::{StoreError, StoreLimit};

use super::{
    queue::Limits,
    shared::Shared,
    writes::{Kind, Note, Operation},
};
use crate::{
    connection::{limit_pages, page_size, set_lazy},
    error::{is_busy, is_full, store_error},
    operation::{deliver, make_room},
    time::micros,
    transaction::{Effects, Failure, Transaction},
};

/// The maximum of one commit.
const BATCH: Limits = Limits {
    items: 256,
    bytes: 4 << 20,
};

/// The maximum number of times at which room is made for one operation.
const ROUNDS_OF_ROOM: usize = 16;

/// The pages in the log from which a checkpoint is worth its cost.
const WORTH_CHECKPOINT: u64 = 1000;

/// The thread that owns the connection that writes, and commits operations in batches.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    connection: Connection,
    checkpointer: Thread,
    is_lazy: bool,
    page_size: u64,
    /// The number of pages in the log after the latest commit.
    log_pages: Arc<AtomicU64>,
    /// The number of pages in the log at which the next checkpoint is made.
    next_checkpoint: u64,
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        mut connection: Connection,
        checkpointer: Thread,
    ) -> rusqlite::Result<Self> {
        let log_pages = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&log_pages);
        connection.wal_hook(Some(move |_: &mut Wal, pages: i32| {
            counter.store(pages.unsigned_abs().into(), Ordering::Relaxed);
            Ok(())
        }))?;
        let writer = Self {
            page_size: page_size(&connection)?,
            shared,
            connection,
            checkpointer,
            is_lazy: false,
            log_pages,
            next_checkpoint: WORTH_CHECKPOINT,
        };
        limit_pages(&writer.connection, writer.max_pages())?;
        Ok(writer)
    }

    /// Writes until the store is closed and the queue is empty.
    pub(crate) fn run(mut self) {
        loop {
            let mut batch = self.shared.writes.take(BATCH);
            if batch.is_empty() {
                return;
            }
            let written = catch_unwind(AssertUnwindSafe(|| self.write(&mut batch)));
            let error = match written {
                Ok(Ok(effects)) => {
                    self.shared.notify(&effects);
                    batch.into_iter().for_each(|operation| operation.answer());
                    self.bound_log();
                    continue;
                }
                Ok(Err(error)) => error,
                Err(_) => StoreError::unavailable("an operation of the same commit panicked"),
            };
            self.roll_back();
            for mut operation in batch {
                operation.refuse(error_for(operation.kind(), &error));
                operation.answer();
            }
        }
    }

    /// Writes a batch in one transaction. On an error, nothing is written.
    fn write(&mut self, batch: &mut [Box<dyn Operation>]) -> Result<Effects, StoreError> {
        let failed = {
            let path = self.shared.settings.path.clone();
            move |error| store_error(&path, error)
        };
        let is_lazy = batch.iter().all(|operation| operation.kind() == Kind::Lazy);
        if mem::replace(&mut self.is_lazy, is_lazy) != is_lazy {
            set_lazy(&self.connection, is_lazy).map_err(&failed)?;
        }
        self.begin().map_err(&failed)?;
        let before = self.connection.total_changes();
        let now = self.time().map_err(&failed)?;
        let transaction = Transaction::new(
            &self.connection,
            now,
            self.shared.clock.day(),
            micros(self.shared.settings.lease),
        );
        let notes = self.shared.notes.all();
        for (id, delivery) in &notes {
            let deliver = |transaction: &Transaction<'_>| deliver(transaction, id, delivery);
            self.perform(&transaction, &mut Note(deliver))?;
        }
        for operation in batch {
            if !operation.is_abandoned() {
                self.perform(&transaction, &mut **operation)?;
            }
        }
        if self.connection.total_changes() == before {
            self.roll_back();
        } else {
            let sql = "UPDATE store SET mark = ?, commits = commits + 1";
            let commit = || {
                self.connection.prepare_cached(sql)?.execute([now])?;
                self.connection.prepare_cached("COMMIT")?.execute([])
            };
            commit().map_err(&failed)?;
            self.shared.commits.fetch_add(1, Ordering::Release);
        }
        self.shared.notes.forget(&notes);
        Ok(transaction.into_effects())
    }

    /// Begins a transaction, and waits for another process that writes.
    fn begin(&self) -> rusqlite::Result<()> {
        let deadline = Instant::now() + self.shared.settings.operation_timeout;
        loop {
            match self
                .connection
                .prepare_cached("BEGIN IMMEDIATE")?
                .execute([])
            {
                Ok(_) => return Ok(()),
                Err(error) if is_busy(&error) && Instant::now() < deadline => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns the time, which is not before that of any other process.
    fn time(&self) -> rusqlite::Result<i64> {
        let mut statement = self.connection.prepare_cached("SELECT mark FROM store")?;
        let mark = statement.query_row([], |row| row.get(0))?;
        Ok(self.shared.clock.reach(mark))
    }

    /// Performs an operation, or leaves the transaction as it was before. Fails if the whole
    /// transaction is lost.
    fn perform(
        &self,
        transaction: &Transaction<'_>,
        operation: &mut dyn Operation,
    ) -> Result<(), StoreError> {
        let kind = operation.kind();
        let mut full = self.attempt(transaction, operation)?;
        for _ in 0..ROUNDS_OF_ROOM {
            if full.is_none() || kind == Kind::Small || !self.make_room(transaction)? {
                break;
            }
            full = self.attempt(transaction, operation)?;
        }
        if full.is_some() && kind == Kind::Small {
            full = self.without_limit(|| self.attempt(transaction, operation))?;
        }
        if let Some(error) = full {
            operation.refuse(error_for(kind, &error));
        }
        Ok(())
    }

    /// Performs an operation, unless there is no room.
    fn attempt(
        &self,
        transaction: &Transaction<'_>,
        operation: &mut dyn Operation,
    ) -> Result<Option<StoreError>, StoreError> {
        let failed = |error| store_error(&self.shared.settings.path, error);
        let execute = |sql| {
            let execute = || self.connection.prepare_cached(sql)?.execute([]);
            execute().map_err(failed)
        };
        execute("SAVEPOINT operation")?;
        let performed = transaction.attempt(|transaction| operation.perform(transaction));
        let Err(failure) = performed else {
            execute("RELEASE operation")?;
            return Ok(None);
        };
        let (error, is_full) = match failure {
            Failure::Refused(error) => (error, false),
            Failure::Sql(error) if is_full(&error) => (self.full(error), true),
            Failure::Sql(error) => (failed(error), false),
        };
        if self.connection.is_autocommit() {
            return Err(error);
        }
        execute("ROLLBACK TO operation")?;
        execute("RELEASE operation")?;
        if is_full {
            return Ok(Some(error));
        }
        operation.refuse(error);
        Ok(None)
    }

    /// Makes room in a file that has reached its limit; returns whether it made any.
    fn make_room(&self, transaction: &Transaction<'_>) -> Result<bool, StoreError> {
        if self.max_pages().is_none() {
            return Ok(false);
        }
        self.without_limit(|| match make_room(transaction) {
            Ok(made) => Ok(made),
            Err(Failure::Refused(error)) => Err(error),
            Err(Failure::Sql(error)) => Err(store_error(&self.shared.settings.path, error)),
        })
    }

    /// Lifts the limit of pages for a small change.
    fn without_limit<T>(
        &self,
        act: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let limit = |pages| {
            limit_pages(&self.connection, pages)
                .map_err(|error| store_error(&self.shared.settings.path, error))
        };
        limit(None)?;
        let result = act();
        limit(self.max_pages())?;
        result
    }

    fn max_pages(&self) -> Option<u32> {
        let bytes = self.shared.settings.max_bytes?;
        Some(
            u32::try_from(bytes / self.page_size)
                .unwrap_or(u32::MAX - 1)
                .max(1),
        )
    }

    /// Returns the error of a full file, with the limit that was reached.
    fn full(&self, error: rusqlite::Error) -> StoreError {
        let error = store_error(&self.shared.settings.path, error);
        match self.shared.settings.max_bytes {
            Some(bytes) => error.with_limit(StoreLimit::new("max_bytes", bytes)),
            None => error,
        }
    }

    fn roll_back(&self) {
        if !self.connection.is_autocommit() {
            // An error: SQLite has rolled back by itself.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    /// Keeps the log within its bound: checkpoints are made beside the writer, and by it if they do
    /// not keep up.
    fn bound_log(&mut self) {
        let pages = self.log_pages.load(Ordering::Relaxed);
        if pages < self.next_checkpoint.min(WORTH_CHECKPOINT) {
            // The log began again.
            self.next_checkpoint = WORTH_CHECKPOINT;
        }
        // The rest of the bound is room for one batch.
        let bound = self.shared.settings.max_log_bytes / 4 * 3;
        if pages * self.page_size >= bound {
            // An error: a reader takes long, and it is tried again after the next commit.
            let _ = self
                .connection
                .wal_checkpoint_v2(None::<&str>, CheckpointMode::RESTART);
        } else if pages >= self.next_checkpoint {
            self.next_checkpoint = pages + WORTH_CHECKPOINT;
            self.checkpointer.unpark();
        }
    }
}

/// Returns an error of a commit as that of one of its operations.
fn error_for(kind: Kind, error: &StoreError) -> StoreError {
    if kind == Kind::Small && error.is_full() {
        return StoreError::unavailable(error.clone());
    }
    error.clone()
}

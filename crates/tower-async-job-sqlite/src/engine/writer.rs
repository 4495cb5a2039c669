//! The thread that writes.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use rusqlite::{Connection, Params, wal::CheckpointMode};
use tower_async_job_core::{StoreError, StoreLimit};

use super::{
    files::Files,
    log::Log,
    queue::{Batch, Limits},
    shared::Shared,
    writes::{Kind, Note, Operation},
};
use crate::{
    connection::{UNLIMITED, limit_pages, page_size, set_synchronous, used_bytes},
    error::{is_busy, is_full, store_error},
    operation::{deliver, make_room},
    schema,
    settings::Synchronous,
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

type Operations = Batch<Box<dyn Operation>>;

/// The thread that owns the connection that writes, and commits operations in batches.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    files: Files,
    connection: Connection,
    checkpointer: Thread,
    is_lazy: bool,
    page_size: u64,
    log: Log,
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        files: Files,
        mut connection: Connection,
        checkpointer: Thread,
    ) -> rusqlite::Result<Self> {
        let log = Log::of(&mut connection)?;
        let writer = Self {
            page_size: page_size(&connection)?,
            shared,
            files,
            connection,
            checkpointer,
            is_lazy: false,
            log,
        };
        let used = used_bytes(&writer.connection, writer.page_size)?;
        writer.shared.used.store(used, Ordering::Relaxed);
        limit_pages(&writer.connection, writer.max_pages())?;
        Ok(writer)
    }

    /// Writes until the store is closed and the queue is empty.
    pub(crate) fn run(mut self) {
        loop {
            let batch = self.shared.writes.take(BATCH);
            if batch.items.is_empty() {
                // The rest of the notes. An error loses them, which only keeps results longer.
                while self.write_notes() && self.shared.notes.are_any() {}
                return;
            }
            self.write(batch);
            self.bound_log();
            while self.shared.notes.are_many()
                && self.shared.writes.is_empty()
                && self.write_notes()
            {
                self.bound_log();
            }
        }
    }

    /// Writes some notes in a transaction of their own; returns whether it succeeded.
    fn write_notes(&mut self) -> bool {
        self.transact(&mut Batch::closed(Vec::new())).is_ok()
    }

    /// Writes a batch in one transaction, or if the file is full, each operation in its own.
    fn write(&mut self, mut batch: Operations) {
        match self.transact(&mut batch) {
            Err(error) if error.is_full() => {
                // On a full disk, the beginning of the log is the only room.
                self.restart_log();
                for operation in batch.items {
                    let is_small = operation.kind() == Kind::Small;
                    let mut alone = Batch::closed(vec![operation]);
                    let written = self.write_alone(&mut alone, is_small);
                    answer(alone, written);
                }
            }
            written => answer(batch, written),
        }
    }

    /// Writes an operation although the file is full: makes room for it, or lifts the limit for a
    /// small one.
    fn write_alone(&mut self, alone: &mut Operations, is_small: bool) -> Result<(), StoreError> {
        for _ in 0..ROUNDS_OF_ROOM {
            match self.transact(alone) {
                Err(error) if error.is_full() => {
                    if is_small || !self.make_room()? {
                        break;
                    }
                }
                written => return written,
            }
        }
        if !is_small {
            return self.transact(alone);
        }
        match self.without_limit(|writer| writer.transact(alone)) {
            // The limit of the file says nothing of a change that is allowed beyond it.
            Err(error) if error.is_full() => Err(StoreError::unavailable(error)),
            written => written,
        }
    }

    /// Makes room in a full file; returns whether it made any.
    fn make_room(&mut self) -> Result<bool, StoreError> {
        let is_made = Arc::new(AtomicBool::new(false));
        let made = Arc::clone(&is_made);
        let operation = Note(move |transaction: &Transaction<'_>| {
            made.store(make_room(transaction)?, Ordering::Relaxed);
            Ok(())
        });
        let mut alone = Batch::closed(vec![Box::new(operation) as _]);
        self.without_limit(|writer| writer.transact(&mut alone))?;
        Ok(is_made.load(Ordering::Relaxed))
    }

    /// Lifts the limit of pages for small changes.
    fn without_limit<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.limit(None)?;
        let result = act(self);
        self.limit(self.max_pages())?;
        result
    }

    fn limit(&self, pages: Option<u32>) -> Result<(), StoreError> {
        limit_pages(&self.connection, pages).map_err(|error| self.failed(error))
    }

    /// Performs operations in one transaction, and notifies of its effects. On an error, none is
    /// performed.
    fn transact(&mut self, batch: &mut Operations) -> Result<(), StoreError> {
        let committed = catch_unwind(AssertUnwindSafe(|| self.commit(batch, false)));
        let panicked = "an operation of the same commit panicked";
        match committed.unwrap_or_else(|_| Err(StoreError::unavailable(panicked))) {
            Ok(effects) => {
                self.shared.notify(&effects);
                Ok(())
            }
            Err(error) => {
                self.roll_back();
                Err(error)
            }
        }
    }

    /// Performs operations and commits them, with those that arrive meanwhile. A savepoint for each
    /// costs a copy of each page that it changes, so they are tried without, and again with
    /// savepoints if one fails half way.
    fn commit(
        &mut self,
        batch: &mut Operations,
        with_savepoints: bool,
    ) -> Result<Effects, StoreError> {
        let is_lazy = batch
            .items
            .iter()
            .all(|operation| operation.kind() == Kind::Lazy);
        if self.is_lazy != is_lazy {
            let mut level = self.shared.settings.synchronous;
            if is_lazy {
                level = level.min(Synchronous::Normal);
            }
            set_synchronous(&self.connection, level).map_err(|error| self.failed(error))?;
            self.is_lazy = is_lazy;
        }
        self.begin().map_err(|error| self.failed(error))?;
        self.files.check().map_err(StoreError::unavailable)?;
        schema::check_again(&self.connection, &self.shared.settings.path)?;
        let before = self.connection.total_changes();
        let now = self.time().map_err(|error| self.failed(error))?;
        let mut transaction = Transaction::new(
            &self.connection,
            now,
            self.shared.clock.day(),
            micros(self.shared.settings.lease),
        );
        let notes = self.shared.notes.some();
        let mut is_whole = true;
        for (id, delivery) in &notes {
            let deliver = |transaction: &Transaction<'_>| deliver(transaction, id, delivery);
            is_whole &= self.perform(&transaction, &mut Note(deliver), with_savepoints)?;
        }
        let mut next = 0;
        while is_whole && let Some(operation) = batch.items.get_mut(next) {
            if !operation.is_abandoned() {
                is_whole = self.perform(&transaction, &mut **operation, with_savepoints)?;
            }
            next += 1;
            // The level of synchronization cannot change within a transaction.
            if next == batch.items.len() && !is_lazy {
                self.shared.writes.take_more(batch);
                transaction.advance(self.shared.clock.now());
            }
        }
        if !is_whole {
            self.roll_back();
            return self.commit(batch, true);
        }
        let used = used_bytes(&self.connection, self.page_size);
        let used = used.map_err(|error| self.failed(error))?;
        if self.connection.total_changes() == before {
            self.roll_back();
        } else {
            self.execute(
                "UPDATE store SET mark = ?, commits = commits + 1",
                [transaction.now],
            )?;
            self.execute("COMMIT", [])?;
            self.shared.commits.fetch_add(1, Ordering::Release);
        }
        self.shared.used.store(used, Ordering::Relaxed);
        self.shared.notes.forget(&notes);
        Ok(transaction.into_effects())
    }

    /// Begins a transaction, and waits for another process that writes.
    fn begin(&self) -> rusqlite::Result<()> {
        let begin = || (self.connection.prepare_cached("BEGIN IMMEDIATE")?).execute([]);
        let is_beginning = &self.shared.is_beginning;
        let deadline = Instant::now() + self.shared.settings.operation_timeout;
        is_beginning.store(true, Ordering::Relaxed);
        let mut begun = begin();
        // It has waited, unless SQLite saw that waiting would not help.
        while begun.as_ref().is_err_and(is_busy) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
            begun = begin();
        }
        is_beginning.store(false, Ordering::Relaxed);
        begun.map(drop)
    }

    /// Returns the time, which is not before that of any other process.
    fn time(&self) -> rusqlite::Result<i64> {
        let mut statement = self.connection.prepare_cached("SELECT mark FROM store")?;
        let mark = statement.query_row([], |row| row.get(0))?;
        Ok(self.shared.clock.reach(mark))
    }

    /// Performs an operation, or leaves the transaction as it was before; returns `false` if
    /// neither was possible without a savepoint. Fails if the whole transaction is lost, as SQLite
    /// may do in a full file.
    fn perform(
        &self,
        transaction: &Transaction<'_>,
        operation: &mut dyn Operation,
        with_savepoint: bool,
    ) -> Result<bool, StoreError> {
        if with_savepoint {
            self.execute("SAVEPOINT operation", [])?;
        }
        let before = self.connection.total_changes();
        let performed = transaction.attempt(|transaction| operation.perform(transaction));
        let is_whole = match performed {
            Ok(()) => true,
            Err(failure) => {
                // A limit that the operation itself finds reached says nothing of the file.
                let (error, is_full) = match failure {
                    Failure::Refused(error) => (error, false),
                    Failure::Sql(error) => {
                        let is_full = is_full(&error);
                        (self.failed(error), is_full)
                    }
                };
                if is_full || self.connection.is_autocommit() {
                    return Err(error);
                }
                operation.refuse(error);
                if with_savepoint {
                    self.execute("ROLLBACK TO operation", [])?;
                }
                with_savepoint || self.connection.total_changes() == before
            }
        };
        if with_savepoint {
            self.execute("RELEASE operation", [])?;
        }
        Ok(is_whole)
    }

    fn execute(&self, sql: &str, parameters: impl Params) -> Result<(), StoreError> {
        let execute = || self.connection.prepare_cached(sql)?.execute(parameters);
        execute().map(drop).map_err(|error| self.failed(error))
    }

    /// Converts an error, with the limit that was reached.
    fn failed(&self, error: rusqlite::Error) -> StoreError {
        let error = store_error(&self.shared.settings.path, error);
        match self.shared.settings.max_bytes {
            Some(bytes) => error.with_limit(StoreLimit::new("max_bytes", bytes)),
            None => error,
        }
    }

    fn max_pages(&self) -> Option<u32> {
        let bytes = self.shared.settings.max_bytes?;
        let pages = u32::try_from(bytes / self.page_size).unwrap_or(UNLIMITED);
        Some(pages.max(1))
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
        let Some(pages) = self.log.due() else {
            return;
        };
        // The rest of the bound is room for one batch, with the pages of its indexes.
        if pages * self.page_size < self.shared.settings.max_log_bytes / 2 {
            self.checkpointer.unpark();
        } else {
            self.restart_log();
        }
    }

    /// Copies the log into the file, and lets the next commit begin it again.
    fn restart_log(&self) {
        self.shared
            .checkpoint(&self.connection, CheckpointMode::RESTART);
    }
}

/// Answers operations that are committed, or all failed.
fn answer(batch: Operations, written: Result<(), StoreError>) {
    for mut operation in batch.items {
        if let Err(error) = &written {
            operation.refuse(error.clone());
        }
        operation.answer();
    }
}

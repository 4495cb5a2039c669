//! The threads of an open store, and the calls to them.

mod checkpointer;
mod deadlines;
mod files;
mod log;
mod queue;
mod reader;
mod reads;
mod shared;
mod slot;
#[cfg(test)]
mod tests;
mod watcher;
mod writer;
mod writes;

use std::{
    fmt, io,
    sync::{Arc, atomic::Ordering},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rusqlite::{Connection, TransactionBehavior};
use tower_async_job_core::{Detail, JobId, JobRecord, StoreError, Waiters};

use self::{
    files::Files,
    queue::Refused,
    reader::Reader,
    shared::Shared,
    slot::{Reply, slot},
    writer::Writer,
    writes::{Note, Write},
};
pub(crate) use self::{shared::WORK, writes::Kind};
use crate::{
    connection::{open_checkpointer, open_reader, open_writer},
    error::{OpenError, store_error},
    job::newest_format,
    notes::Notes,
    schema,
    settings::Settings,
    time::{Micros, StoreClock, micros},
    transaction::{Failure, Snapshot, Step, Transaction},
};

/// An open store. Dropping it lets its threads end, without waiting for them.
pub(crate) struct Engine {
    shared: Arc<Shared>,
}

/// The connections of a store that is being opened.
struct Connections {
    writer: Connection,
    readers: Vec<Connection>,
    checkpointer: Connection,
    watcher: Connection,
}

impl Engine {
    /// Opens a store.
    pub(crate) async fn open(settings: Settings) -> Result<Self, OpenError> {
        let path = settings.path.clone();
        let (reply, answer) = slot();
        let open = move || {
            let opened = open(settings);
            let (opened, writer) = match opened {
                // If nothing waits for it any more, it is dropped, which closes the store.
                Ok((shared, writer)) => (Ok(Self { shared }), Some(writer)),
                Err(error) => (Err(error), None),
            };
            reply.send(Ok(opened));
            if let Some(writer) = writer {
                writer.run();
            }
        };
        spawn("writer", open).map_err(|error| OpenError::other(&path, error))?;
        match answer.await {
            Ok(opened) => opened,
            Err(error) => Err(OpenError::other(&path, error)),
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Returns the bytes of the file that are in use, as the latest transaction has left them.
    pub(crate) fn used(&self) -> u64 {
        self.shared.used.load(Ordering::Relaxed)
    }

    pub(crate) fn clock(&self) -> &StoreClock {
        &self.shared.clock
    }

    pub(crate) fn waiters(&self) -> &Waiters {
        &self.shared.waiters
    }

    pub(crate) fn notes(&self) -> &Notes {
        &self.shared.notes
    }

    /// Returns the number of jobs that have ended since the call before because a lease lapsed, and
    /// these jobs with those whose deadline passed.
    pub(crate) fn take_lapsed(&self) -> (u64, Vec<JobId>) {
        let lost = self.shared.lost.swap(0, Ordering::Relaxed);
        (lost, self.shared.ended.take())
    }

    /// Ignores the commits of other processes from now on, for tests.
    pub(crate) fn be_deaf(&self) {
        self.shared.is_deaf.store(true, Ordering::Relaxed);
    }

    /// Performs an operation that adds this number of bytes, and waits for its commit.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        kind: Kind,
        bytes: usize,
        act: impl FnMut(&Transaction<'_>) -> Step<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = slot();
        self.limit(&reply);
        let operation = Write {
            kind,
            act,
            answer: None,
            reply,
        };
        let queued = self.shared.writes.push(Box::new(operation), bytes);
        queued.map_err(refused)?;
        answer.await
    }

    /// Performs an operation for which nothing waits.
    pub(crate) fn note(&self, act: impl FnMut(&Transaction<'_>) -> Step<()> + Send + 'static) {
        // A note may be lost.
        let _ = self.shared.writes.push(Box::new(Note(act)), 0);
    }

    /// Reads from a snapshot that is not older than the call.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Snapshot<'_>) -> Step<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = slot();
        self.limit(&reply);
        let path = self.shared.settings.path.clone();
        let query = move |snapshot: &Snapshot<'_>| {
            if !reply.is_abandoned() {
                let found = read(snapshot).map_err(|failure| match failure {
                    Failure::Refused(error) => error,
                    Failure::Sql(error) => store_error(&path, error),
                });
                reply.send(found);
            }
        };
        let queued = self.shared.reads.push_query(Box::new(query));
        queued.map_err(refused)?;
        answer.await
    }

    /// Reads a job.
    pub(crate) async fn record(
        &self,
        id: JobId,
        detail: Detail,
    ) -> Result<Option<JobRecord>, StoreError> {
        let (reply, answer) = slot();
        self.limit(&reply);
        let queued = self.shared.reads.push_record((id, detail), reply);
        queued.map_err(refused)?;
        answer.await
    }

    fn limit<T: Send + 'static>(&self, reply: &Reply<T>) {
        // A little less, so that callers who wait no longer learn the reason.
        let timeout = self.shared.settings.operation_timeout * 9 / 10;
        self.shared.deadlines.add(reply.call(), timeout);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("path", &self.shared.settings.path)
            .finish_non_exhaustive()
    }
}

fn refused(reason: Refused) -> StoreError {
    StoreError::unavailable(match reason {
        Refused::Full => "too many operations wait for the store",
        Refused::Closed => "the store is closed",
    })
}

/// Opens the file, and starts all threads except for that of the writer.
fn open(settings: Settings) -> Result<(Arc<Shared>, Writer), OpenError> {
    let path = settings.path.clone();
    let (connections, clock) = connect(&settings)?;
    let shared = Arc::new(Shared::new(settings, clock));
    start(&shared, connections, &path)
        .inspect_err(|_| shared.close())
        .map(|writer| (shared, writer))
}

/// Opens the connections, and starts the clock. Waits for others that lock the file, which SQLite
/// does not do in all cases.
fn connect(settings: &Settings) -> Result<(Connections, StoreClock), OpenError> {
    let deadline = Instant::now() + settings.operation_timeout;
    loop {
        match try_connect(settings) {
            Err(error) if error.is_locked() && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(5));
            }
            connected => return connected,
        }
    }
}

fn try_connect(settings: &Settings) -> Result<(Connections, StoreClock), OpenError> {
    let mut connections = Connections {
        writer: open_writer(settings)?,
        readers: (0..settings.readers.max(1))
            .map(|_| open_reader(settings))
            .collect::<Result<_, _>>()?,
        checkpointer: open_checkpointer(settings)?,
        watcher: open_reader(settings)?,
    };
    let clock = start_clock(&mut connections.writer, settings)?;
    Ok((connections, clock))
}

/// Starts the clock of the store.
///
/// A process that is alive commits at least every third of a lease. If nothing was committed for
/// longer, either none was, or this clock is ahead of theirs, since the machine slept or its day
/// was set. Leases therefore go on from the latest commit, for at most a lease from now, in which
/// their holders can renew them. Those that were not renewed since an earlier opening did the same
/// have no holder, so a process that starts again and again does not keep them for ever.
fn start_clock(connection: &mut Connection, settings: &Settings) -> Result<StoreClock, OpenError> {
    let failed = |error| OpenError::of_sql(&*settings.path, error);
    let mark = |connection: &Connection| {
        let mark = connection.query_row("SELECT mark FROM store", [], |row| row.get(0));
        mark.map_err(failed)
    };
    let latest = mark(connection)?;
    let clock = StoreClock::start(Arc::clone(&settings.clock), latest);
    let lease = micros(settings.lease);
    let passed = |mark: Micros| clock.now().saturating_sub(mark);
    if passed(latest) <= lease / 3 {
        return Ok(clock);
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    // Another process may have been first, or have migrated the file.
    schema::version(&transaction, &settings.path)?;
    let passed = passed(mark(&transaction)?);
    let now = clock.now();
    if passed > lease / 3 {
        let until = now.saturating_add(lease);
        let sql = "UPDATE jobs SET due = min(due + ?1, ?2) \
                   WHERE state < 2 AND held = 1 AND format <= ?3 \
                   AND due > (SELECT prolonged FROM store) AND due < ?2";
        let prolonged = transaction
            .execute(sql, [passed, until, newest_format()])
            .map_err(failed)?;
        if prolonged > 0 {
            let sql = "UPDATE store SET mark = ?, commits = commits + 1, prolonged = ?";
            transaction.execute(sql, [now, until]).map_err(failed)?;
        }
    }
    transaction.commit().map_err(failed)?;
    Ok(clock)
}

fn start(
    shared: &Arc<Shared>,
    connections: Connections,
    path: &std::path::Path,
) -> Result<Writer, OpenError> {
    let failed = |error: io::Error| OpenError::other(path, error);
    for connection in connections.readers {
        let reader = Reader::new(Arc::clone(shared), connection);
        spawn("reader", move || reader.run()).map_err(failed)?;
    }
    let deadlines = Arc::clone(shared);
    spawn("deadlines", move || {
        deadlines.deadlines.run(|| deadlines.late());
    })
    .map_err(failed)?;
    let watching = (Arc::clone(shared), connections.watcher);
    let watcher = spawn("watcher", move || watcher::run(&watching.0, &watching.1));
    shared.add_parked(watcher.map_err(failed)?.thread().clone());
    let copying = (Arc::clone(shared), connections.checkpointer);
    let checkpointer = spawn("checkpointer", move || {
        checkpointer::run(&copying.0, &copying.1);
    });
    let checkpointer = checkpointer.map_err(failed)?.thread().clone();
    shared.add_parked(checkpointer.clone());
    let files = Files::of(path).map_err(failed)?;
    Writer::new(Arc::clone(shared), files, connections.writer, checkpointer)
        .map_err(|error| OpenError::of_sql(path, error))
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    // Linux shows 15 characters.
    thread::Builder::new()
        .name(format!("jobs-{name}"))
        .spawn(run)
}

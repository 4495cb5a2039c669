//! The peer: raw SQLite with group commit, on the same schema.
//!
//! Its statements are those that the life of a job needs at least. Unlike the store, it reads
//! nothing before it writes, undoes no operation alone, and has no clock, deadlines, leases or
//! subscriptions.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

use rusqlite::{Connection, hooks::Wal, params, wal::CheckpointMode};
use tokio::sync::oneshot;

use crate::{
    Outcome, PAYLOAD,
    place::{Peer, Pending},
};

/// The maximum number of operations of a commit, as the store has it.
const BATCH: usize = 256;

/// The pages of the log after which it is copied into the file, as SQLite has it.
const CHECKPOINT: i32 = 1000;

/// An operation, which is answered once it is committed.
enum Operation {
    Create { key: i64 },
    Finish { key: i64, request: i64 },
}

type Queued = (Operation, oneshot::Sender<i64>);

/// An open file. Dropping it closes the file.
pub(super) struct Raw {
    operations: Option<mpsc::Sender<Queued>>,
    threads: Vec<JoinHandle<()>>,
}

impl Raw {
    /// Opens a file with the schema.
    pub(super) fn open(path: &Path) -> Outcome<Self> {
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.pragma_update(None, "cache_size", -(16 << 10))?;
        connection.set_prepared_statement_cache_capacity(16);
        let is_closed = Arc::new(AtomicBool::new(false));
        let checkpointer = {
            let (connection, is_closed) = (Connection::open(path)?, is_closed.clone());
            thread::spawn(move || {
                while !is_closed.load(Ordering::Acquire) {
                    thread::park();
                    let _ = connection.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE);
                }
            })
        };
        let copying = checkpointer.thread().clone();
        let unparked = copying.clone();
        let mut next = CHECKPOINT;
        connection.wal_hook(Some(move |_: &mut Wal, pages: i32| {
            if pages + CHECKPOINT < next {
                // The log began again.
                next = CHECKPOINT;
            } else if pages >= next {
                next = pages + CHECKPOINT;
                unparked.unpark();
            }
            Ok(())
        }))?;
        let (operations, queue) = mpsc::channel();
        let writer = thread::spawn(move || {
            write(&connection, &queue).expect("the file is writable");
            is_closed.store(true, Ordering::Release);
            copying.unpark();
        });
        Ok(Self {
            operations: Some(operations),
            threads: vec![writer, checkpointer],
        })
    }

    /// Performs an operation; returns its number.
    async fn perform(&self, operation: Operation) -> i64 {
        let (sender, answer) = oneshot::channel();
        let operations = self.operations.as_ref().expect("it is open");
        operations.send((operation, sender)).expect("it is open");
        answer.await.expect("it is committed")
    }
}

impl Peer for Raw {
    fn live(&self) -> Pending<'_, ()> {
        Box::pin(async {
            // Keys are random, as those of jobs are.
            let key = (rand::random::<u64>() >> 1) as i64;
            let request = self.perform(Operation::Create { key }).await;
            self.perform(Operation::Finish { key, request }).await;
        })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.operations = None;
        for thread in self.threads.drain(..) {
            thread.join().expect("no panic");
        }
    }
}

fn write(connection: &Connection, queue: &mpsc::Receiver<Queued>) -> rusqlite::Result<()> {
    let mut answers = Vec::new();
    while let Ok(first) = queue.recv() {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for (operation, sender) in [first].into_iter().chain(queue.try_iter()).take(BATCH) {
            answers.push((perform(connection, &operation)?, sender));
        }
        connection.prepare_cached("COMMIT")?.execute([])?;
        for (number, sender) in answers.drain(..) {
            let _ = sender.send(number);
        }
    }
    Ok(())
}

fn perform(connection: &Connection, operation: &Operation) -> rusqlite::Result<i64> {
    let part = |key: i64| -> rusqlite::Result<i64> {
        let sql = "INSERT INTO parts (job, data) VALUES (?, ?)";
        let mut insert = connection.prepare_cached(sql)?;
        insert.execute(params![key, &PAYLOAD[..]])?;
        Ok(connection.last_insert_rowid())
    };
    let now = 1_800_000_000_000_000_i64;
    match *operation {
        Operation::Create { key } => {
            let request = part(key)?;
            let sql = "INSERT INTO jobs (key, format, id, handle, state, held, epoch, attempt, \
                       max_attempts, reports, due, deadline, created, created_day, started, keep, \
                       tombstone, protocol, pending_status, route, route_hash, owner_hash, \
                       request, request_format, chunked, notify_attempts, resumed) \
                       VALUES (?1, 1, ?2, ?3, 1, 1, 1, 1, 3, 0, ?4, ?5, ?6, ?6, ?6, 3600000000, \
                       3600000000, 0, 0, '/report', 7, 0, ?7, 1, 0, 0, 0)";
            let id = u128::from(key.unsigned_abs()) << 1;
            let handle = key.wrapping_mul(0x5851_f42d_4c95_7f2d);
            connection.prepare_cached(sql)?.execute(params![
                key,
                id.to_be_bytes(),
                handle,
                now + 30_000_000,
                now + 3_600_000_000,
                now,
                request,
            ])?;
            Ok(request)
        }
        Operation::Finish { key, request } => {
            let response = part(key)?;
            let sql = "UPDATE jobs SET state = 2, held = 0, ended = ?, due = ?, request = NULL, \
                       request_format = NULL, response = ?, body_len = ? \
                       WHERE key = ? AND epoch = 1 AND state < 2";
            let length = PAYLOAD.len() as i64;
            let due = now + 3_600_000_000;
            let mut update = connection.prepare_cached(sql)?;
            let changed = update.execute(params![now, due, response, length, key])?;
            assert_eq!(changed, 1);
            let sql = "DELETE FROM parts WHERE id = ? AND job = ?";
            connection.prepare_cached(sql)?.execute([request, key])?;
            Ok(response)
        }
    }
}

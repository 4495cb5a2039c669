//! The parts of an open store that its threads share.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::Thread,
};

use rusqlite::{Connection, wal::CheckpointMode};
use tower_async_job_core::{EndedJobs, JobId, StoreError, Waiters};

use super::{
    deadlines::Deadlines,
    queue::{Limits, Queue},
    reads::Reads,
    writes::Operation,
};
use crate::{
    error::locked, notes::Notes, settings::Settings, time::StoreClock, transaction::Effects,
};

/// The capacity of the queue of the writer.
const WAITING_WRITES: Limits = Limits {
    items: 16_384,
    bytes: 64 << 20,
};

/// The id by which the subscriptions to claimable work are kept among those to jobs.
pub(crate) const WORK: JobId = JobId::from_bits(0);

pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) clock: StoreClock,
    pub(crate) writes: Queue<Box<dyn Operation>>,
    pub(crate) reads: Reads,
    pub(crate) deadlines: Deadlines,
    pub(crate) waiters: Waiters,
    pub(crate) notes: Notes,
    /// The number of commits of this process.
    pub(crate) commits: AtomicU64,
    /// The number of jobs that commits of this process have ended since the latest sweep because a
    /// lease lapsed.
    pub(crate) lost: AtomicU64,
    /// The jobs that these commits have ended because a lease lapsed or a deadline passed.
    pub(crate) ended: EndedJobs,
    /// True if the commits of other processes are not looked for, for tests.
    pub(crate) is_deaf: AtomicBool,
    /// True while the writer begins a transaction, which takes long only if another program has the
    /// lock.
    pub(crate) is_beginning: AtomicBool,
    /// The bytes of the file that are in use after the latest transaction of this process.
    pub(crate) used: AtomicU64,
    is_closed: AtomicBool,
    /// Held during a checkpoint, since SQLite refuses a second one instead of waiting.
    checkpoint: Mutex<()>,
    /// The threads that wait for something else than a queue.
    parked: Mutex<Vec<Thread>>,
}

impl Shared {
    pub(crate) fn new(settings: Settings, clock: StoreClock) -> Self {
        Self {
            settings,
            clock,
            writes: Queue::new(WAITING_WRITES),
            reads: Reads::default(),
            deadlines: Deadlines::default(),
            waiters: Waiters::default(),
            notes: Notes::default(),
            commits: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            ended: EndedJobs::default(),
            is_deaf: AtomicBool::new(false),
            is_beginning: AtomicBool::new(false),
            used: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
            checkpoint: Mutex::default(),
            parked: Mutex::default(),
        }
    }

    /// Makes a checkpoint, after one that another thread of this process makes.
    pub(crate) fn checkpoint(&self, connection: &Connection, mode: CheckpointMode) {
        let _one = self.checkpoint.lock();
        // An error: a reader takes long, or another process makes one. It is made again when the
        // log has grown.
        let _ = connection.wal_checkpoint_v2(None::<&str>, mode);
    }

    /// Returns the error of a call that takes too long.
    pub(crate) fn late(&self) -> StoreError {
        let Settings {
            path,
            operation_timeout,
            ..
        } = &self.settings;
        if self.is_beginning.load(Ordering::Relaxed) {
            return locked(path);
        }
        StoreError::unavailable(format!(
            "`{}` did not answer within {operation_timeout:?}: its disk is slow, or hangs",
            path.display()
        ))
    }

    /// Notifies of the effects of a commit.
    pub(crate) fn notify(&self, effects: &Effects) {
        self.lost.fetch_add(effects.lost, Ordering::Relaxed);
        self.ended.note(effects.lapsed.iter().copied());
        let work = (effects.claimable > 0).then_some(&WORK);
        for id in effects.ended.iter().chain(work) {
            // A runtime that panics must not end the thread that notifies others too.
            let _ = catch_unwind(AssertUnwindSafe(|| self.waiters.notify(id)));
        }
    }

    /// Adds a thread to unpark when the store is closed.
    pub(crate) fn add_parked(&self, thread: Thread) {
        self.parked().push(thread);
    }

    /// Lets all threads end once the queues are empty.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.writes.close();
        self.reads.close();
        self.deadlines.close();
        self.parked().drain(..).for_each(|thread| thread.unpark());
        // Reads then fail, since the store is closed.
        self.waiters.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    fn parked(&self) -> std::sync::MutexGuard<'_, Vec<Thread>> {
        self.parked
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

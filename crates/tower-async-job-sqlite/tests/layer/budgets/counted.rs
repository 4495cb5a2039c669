//! A store whose commits and reads are counted.

use std::{
    future::pending,
    ops::Add,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tower_async_job_core::{Call, Interpose, Interposed, JobHandle, JobStore, StoreFuture};
use tower_async_job_sqlite::SqliteStore;

/// The costs of some calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// The transactions that changed the file.
    pub(crate) commits: u64,
    /// The snapshots of the file.
    pub(crate) reads: u64,
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            commits: self.commits + other.commits,
            reads: self.reads + other.reads,
        }
    }
}

/// A store with one thread that reads. Nothing sweeps it.
pub(crate) struct Counted {
    pub(crate) store: Arc<SqliteStore>,
    calls: Arc<Calls>,
    snapshots: Arc<Snapshots>,
    /// A connection of its own, by which commits are seen.
    file: Connection,
    known: Mutex<Cost>,
    _directory: TempDir,
}

/// The snapshots of the store, each of which has one time.
#[derive(Default)]
struct Snapshots {
    count: AtomicU64,
    is_held: Mutex<bool>,
    go_on: Condvar,
}

impl Snapshots {
    /// Notes that the store asks for the time.
    fn note(&self) {
        if thread::current().name() == Some("jobs-reader") {
            self.count.fetch_add(1, Ordering::SeqCst);
            let is_held = self.is_held.lock().unwrap();
            drop(self.go_on.wait_while(is_held, |is_held| *is_held).unwrap());
        }
    }

    fn hold(&self, is_held: bool) {
        *self.is_held.lock().unwrap() = is_held;
        self.go_on.notify_all();
    }
}

/// The reads of jobs that were called, and those that were answered.
#[derive(Debug, Default)]
struct Calls {
    begun: AtomicU64,
    ended: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct Quiet {
    store: Arc<SqliteStore>,
    calls: Arc<Calls>,
}

impl Interpose for Quiet {
    fn inner(&self) -> &dyn JobStore {
        &*self.store
    }

    fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        answer: StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        match call {
            // Housekeeping belongs to no exchange.
            Call::Sweep => Box::pin(pending()),
            Call::Read => Box::pin(async {
                self.calls.begun.fetch_add(1, Ordering::SeqCst);
                let answer = answer.await;
                self.calls.ended.fetch_add(1, Ordering::SeqCst);
                answer
            }),
            _ => answer,
        }
    }
}

impl Counted {
    pub(crate) async fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("jobs.db");
        let snapshots = Arc::new(Snapshots::default());
        let clock = snapshots.clone();
        let store = SqliteStore::builder()
            .readers(1)
            .operation_timeout(Duration::from_secs(60))
            .clock(move || {
                clock.note();
                Instant::now()
            })
            .open(&path)
            .await
            .unwrap();
        let counted = Self {
            store: Arc::new(store),
            calls: Arc::default(),
            snapshots,
            file: Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap(),
            known: Mutex::default(),
            _directory: directory,
        };
        counted.cost();
        counted
    }

    /// Returns the store as a layer has it.
    pub(crate) fn quiet(&self) -> Interposed<Quiet> {
        Interposed::new(Quiet {
            store: self.store.clone(),
            calls: self.calls.clone(),
        })
    }

    /// Returns the cost since the last time.
    pub(crate) fn cost(&self) -> Cost {
        let cost = self.since();
        let mut known = self.known.lock().unwrap();
        *known = *known + cost;
        cost
    }

    fn since(&self) -> Cost {
        let commits = "SELECT commits FROM store";
        let commits: i64 = self.file.query_row(commits, [], |row| row.get(0)).unwrap();
        let known = self.known.lock().unwrap();
        Cost {
            commits: commits.unsigned_abs() - known.commits,
            reads: self.snapshots.count.load(Ordering::SeqCst) - known.reads,
        }
    }

    /// Waits until the cost is as wanted.
    pub(crate) async fn wait(&self, is_wanted: impl Fn(Cost) -> bool) {
        while !is_wanted(self.since()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits until `begun` reads of jobs were called, and `ended` were answered.
    pub(crate) async fn wait_for_calls(&self, begun: u64, ended: u64) {
        let calls = |count: &AtomicU64| count.load(Ordering::SeqCst);
        while calls(&self.calls.begun) < begun || calls(&self.calls.ended) < ended {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Begins a read that lasts until it is ended.
    pub(crate) async fn busy(&self) -> Busy {
        let before = self.since().reads;
        self.snapshots.hold(true);
        let store = self.store.clone();
        let read = async move { store.find(JobHandle::random()).await };
        let read = tokio::spawn(async { assert_eq!(read.await.unwrap(), None) });
        self.wait(|cost| cost.reads > before).await;
        Busy {
            read,
            snapshots: self.snapshots.clone(),
        }
    }
}

/// A read under way.
pub(crate) struct Busy {
    read: JoinHandle<()>,
    snapshots: Arc<Snapshots>,
}

impl Busy {
    pub(crate) async fn end(self) {
        self.snapshots.hold(false);
        self.read.await.unwrap();
    }
}

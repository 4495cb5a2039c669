//! A store whose commits and reads are counted.

use std::{
    path::Path,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};
use test_nodes::{Cost, Counted};
use tower_async_job_core::JobStore;
use tower_async_job_sqlite::SqliteStore;

/// A store with one thread that reads.
pub(crate) struct CountedStore {
    store: Arc<SqliteStore>,
    snapshots: Arc<Snapshots>,
    /// A connection of its own, by which commits are seen.
    file: Mutex<Connection>,
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
}

impl CountedStore {
    pub(crate) async fn open(path: &Path) -> Self {
        let snapshots = Arc::new(Snapshots::default());
        let clock = snapshots.clone();
        let store = SqliteStore::builder()
            .readers(1)
            .operation_timeout(Duration::from_secs(120))
            .clock(move || {
                clock.note();
                Instant::now()
            })
            .open(path)
            .await
            .unwrap();
        let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        Self {
            store: Arc::new(store),
            snapshots,
            file: Mutex::new(file.unwrap()),
        }
    }
}

impl Counted for CountedStore {
    fn store(&self) -> Arc<dyn JobStore> {
        self.store.clone()
    }

    fn cost(&self) -> Cost {
        let file = self.file.lock().unwrap();
        let commits = "SELECT commits FROM store";
        let commits: i64 = file.query_row(commits, [], |row| row.get(0)).unwrap();
        Cost {
            commits: commits.unsigned_abs(),
            reads: self.snapshots.count.load(Ordering::SeqCst),
        }
    }

    fn hold_reads(&self, is_held: bool) {
        *self.snapshots.is_held.lock().unwrap() = is_held;
        self.snapshots.go_on.notify_all();
    }
}

//! The harness of stores that wrap the one of SQLite.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use tempfile::TempDir;
use tower_async_job_core::JobStore;
use tower_async_job_sqlite::SqliteStore;
use tower_async_job_testkit::{Harness, Hook, TestClock};

/// The size of the chunks of the stores.
const CHUNK: usize = 1000;

type Wrap = Box<dyn Fn(SqliteStore) -> Arc<dyn JobStore> + Send + Sync>;

pub(crate) struct SqliteHarness {
    wrap: Wrap,
    _directory: TempDir,
    path: Mutex<PathBuf>,
    clock: TestClock,
    store: Arc<dyn JobStore>,
}

impl SqliteHarness {
    pub(crate) async fn wrapping(
        wrap: impl Fn(SqliteStore) -> Arc<dyn JobStore> + Send + Sync + 'static,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("jobs.db");
        let clock = TestClock::new();
        let store = open(&path, &clock).await;
        Self {
            store: wrap(store),
            wrap: Box::new(wrap),
            _directory: directory,
            path: Mutex::new(path),
            clock,
        }
    }

    async fn reopen(&self) -> Arc<dyn JobStore> {
        let path = self.path.lock().unwrap().clone();
        (self.wrap)(open(&path, &self.clock).await)
    }
}

async fn open(path: &PathBuf, clock: &TestClock) -> SqliteStore {
    let builder = SqliteStore::builder()
        .chunk_size(CHUNK)
        .clock(clock.clone())
        // Tests run many stores at once.
        .readers(2)
        .operation_timeout(Duration::from_secs(30));
    builder.open(path).await.unwrap()
}

impl Harness for SqliteHarness {
    fn store(&self) -> Arc<dyn JobStore> {
        self.store.clone()
    }

    fn second(&self) -> Hook<'_, Arc<dyn JobStore>> {
        Box::pin(async { Ok(self.reopen().await) })
    }

    fn advance(&self, span: Duration) -> Hook<'_, ()> {
        Box::pin(async move {
            self.clock.advance(span);
            Ok(())
        })
    }

    fn crash(&self) -> Hook<'_, Arc<dyn JobStore>> {
        Box::pin(async {
            let path = self.path.lock().unwrap().clone();
            // A name of its own for each crash.
            let copy = PathBuf::from(format!("{}-crashed", path.display()));
            for suffix in ["", "-wal"] {
                let name = |path: &PathBuf| format!("{}{suffix}", path.display());
                fs::copy(name(&path), name(&copy)).unwrap();
            }
            *self.path.lock().unwrap() = copy;
            Ok(self.reopen().await)
        })
    }
}

//! The harness of stores that wrap the one of SQLite.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use tempfile::TempDir;
use tower_async_job_core::{Clock, JobStore};
use tower_async_job_sqlite::SqliteStore;
use tower_async_job_testkit::{Harness, Hook};

/// The size of the chunks of the stores.
const CHUNK: usize = 1000;

/// A clock that stands still unless moved.
#[derive(Clone)]
struct TestClock {
    start: (Instant, SystemTime),
    micros: Arc<AtomicU64>,
}

impl TestClock {
    fn passed(&self) -> Duration {
        Duration::from_micros(self.micros.load(Ordering::SeqCst))
    }
}

impl Clock for TestClock {
    fn now(&self) -> Instant {
        self.start.0 + self.passed()
    }

    fn system_time(&self) -> SystemTime {
        self.start.1 + self.passed()
    }
}

type Wrap = Box<dyn Fn(SqliteStore) -> Arc<dyn JobStore> + Send + Sync>;

pub(crate) struct SqliteHarness {
    wrap: Wrap,
    directory: TempDir,
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
        let clock = TestClock {
            start: (Instant::now(), SystemTime::now()),
            micros: Arc::default(),
        };
        let store = open(&path, &clock).await;
        Self {
            store: wrap(store),
            wrap: Box::new(wrap),
            directory,
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
            let micros = span.as_micros() as u64;
            self.clock.micros.fetch_add(micros, Ordering::SeqCst);
            Ok(())
        })
    }

    fn crash(&self) -> Hook<'_, Arc<dyn JobStore>> {
        Box::pin(async {
            let copy = self.directory.path().join("after-crash.db");
            let path = self.path.lock().unwrap().clone();
            for suffix in ["", "-wal"] {
                let name = |path: &PathBuf| format!("{}{suffix}", path.display());
                fs::copy(name(&path), name(&copy)).unwrap();
            }
            *self.path.lock().unwrap() = copy;
            Ok(self.reopen().await)
        })
    }
}

//! The harness of the store, and its parts.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use rusqlite::Connection;
use tempfile::TempDir;
use tower_async_job_core::{JobId, JobStore};
use tower_async_job_sqlite::{SqliteStore, SqliteStoreBuilder};
use tower_async_job_testkit::{Harness, Hook, Limits, NotRun, TestClock};

/// The size of the chunks of the stores.
const CHUNK: usize = 1000;

/// The size of a page of a store with little room, the smallest that SQLite allows.
const SMALL_PAGE: u64 = 512;

/// The store as tests see it.
type Wrap = fn(Arc<SqliteStore>) -> Arc<dyn JobStore>;

/// The harness of a store in a file of its own.
pub(crate) struct SqliteHarness {
    wrap: Wrap,
    _directory: TempDir,
    path: Mutex<PathBuf>,
    clock: TestClock,
    store: Arc<SqliteStore>,
    handles: Mutex<Vec<Arc<SqliteStore>>>,
}

impl SqliteHarness {
    pub(crate) async fn new() -> Self {
        Self::wrapping(|store| store).await
    }

    /// Creates a harness of a store that wraps the one of SQLite.
    pub(crate) async fn wrapping(wrap: Wrap) -> Self {
        Self::build(wrap, |builder| builder).await
    }

    async fn build(
        wrap: Wrap,
        limit: impl FnOnce(SqliteStoreBuilder) -> SqliteStoreBuilder,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("jobs.db");
        let clock = TestClock::new();
        let builder = limit(builder(&clock));
        let store = Arc::new(builder.open(&path).await.unwrap());
        Self {
            wrap,
            _directory: directory,
            path: Mutex::new(path),
            clock,
            handles: Mutex::new(vec![Arc::clone(&store)]),
            store,
        }
    }

    fn path(&self) -> PathBuf {
        self.path.lock().unwrap().clone()
    }

    async fn open(&self) -> Arc<dyn JobStore> {
        let store = builder(&self.clock).open(self.path()).await.unwrap();
        let store = Arc::new(store);
        self.handles.lock().unwrap().push(Arc::clone(&store));
        (self.wrap)(store)
    }

    /// Changes the row of a job behind the store's back.
    fn tamper(&self, id: JobId, change: &str) {
        let connection = Connection::open(self.path()).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        let sql = format!("UPDATE jobs SET {change} WHERE id = ?");
        let changed = connection.execute(&sql, [id.to_bits().to_be_bytes()]);
        assert_eq!(changed.unwrap(), 1);
    }
}

fn builder(clock: &TestClock) -> SqliteStoreBuilder {
    SqliteStore::builder()
        .chunk_size(CHUNK)
        .clock(clock.clone())
        // Tests run many stores at once.
        .readers(2)
        .operation_timeout(Duration::from_secs(30))
}

/// Copies the files of an open store as they are, like a process that is killed leaves them.
pub(crate) fn copy_files(from: &Path, to: &Path) {
    for suffix in ["", "-wal"] {
        let name = |path: &Path| format!("{}{suffix}", path.display());
        fs::copy(name(from), name(to)).unwrap();
    }
}

impl Harness for SqliteHarness {
    fn store(&self) -> Arc<dyn JobStore> {
        (self.wrap)(Arc::clone(&self.store))
    }

    fn second(&self) -> Hook<'_, Arc<dyn JobStore>> {
        Box::pin(async { Ok(self.open().await) })
    }

    fn advance(&self, span: Duration) -> Hook<'_, ()> {
        Box::pin(async move {
            self.clock.advance(span);
            Ok(())
        })
    }

    fn jump_back(&self, span: Duration) -> Hook<'_, ()> {
        Box::pin(async move {
            self.clock.set_back(span);
            Ok(())
        })
    }

    fn crash(&self) -> Hook<'_, Arc<dyn JobStore>> {
        Box::pin(async {
            let mut copy = self.path().into_os_string();
            copy.push(".after-crash");
            let copy = PathBuf::from(copy);
            copy_files(&self.path(), &copy);
            *self.path.lock().unwrap() = copy;
            Ok(self.open().await)
        })
    }

    fn limited(&self, limits: Limits) -> Hook<'_, Box<dyn Harness>> {
        Box::pin(async move {
            let (None, Some(bytes)) = (limits.jobs, limits.bytes) else {
                return Err(NotRun::because(
                    "the store does not limit the number of jobs",
                ));
            };
            // An empty file has some pages, and each job takes parts of several.
            let more = (bytes as u64 / 200).saturating_sub(5) * SMALL_PAGE;
            let empty =
                Self::build(self.wrap, |builder| builder.page_size(SMALL_PAGE as u32)).await;
            let connection = Connection::open(empty.path()).unwrap();
            let pages = connection
                .pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0))
                .unwrap();
            let max = pages as u64 * SMALL_PAGE + more;
            let limited = Self::build(self.wrap, |builder| {
                builder.page_size(SMALL_PAGE as u32).max_bytes(max)
            });
            Ok(Box::new(limited.await) as Box<dyn Harness>)
        })
    }

    fn corrupt(&self, id: JobId) -> Hook<'_, ()> {
        Box::pin(async move {
            self.tamper(id, "owner = 7");
            Ok(())
        })
    }

    fn give_newer_format(&self, id: JobId) -> Hook<'_, ()> {
        Box::pin(async move {
            self.tamper(id, "format = format + 1");
            Ok(())
        })
    }

    fn lose_notifications(&self) -> Hook<'_, ()> {
        Box::pin(async {
            for store in &*self.handles.lock().unwrap() {
                store.lose_notifications();
            }
            Ok(())
        })
    }
}

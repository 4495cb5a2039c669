//! A file that nodes share.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use rusqlite::Connection;
use tempfile::TempDir;
use test_nodes::{Counted, Hook, Nodes, Outage, Settings};
use tower_async_job_core::{Clock, JobId, JobStore, SweepQuery};
use tower_async_job_sqlite::SqliteStore;

use crate::counted::CountedStore;

/// A file, in a directory that the process removes which has created it.
pub(crate) struct SqliteNodes {
    path: PathBuf,
    _directory: Option<TempDir>,
}

/// The clock of a node that is ahead of all others.
struct Ahead(Duration);

impl Clock for Ahead {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn system_time(&self) -> SystemTime {
        SystemTime::now() + self.0
    }
}

impl SqliteNodes {
    pub(crate) fn directory(&self) -> &Path {
        self.path.parent().unwrap()
    }

    /// Opens the file as another program does.
    fn connect(&self) -> Connection {
        let connection = Connection::open(&self.path).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        connection
    }

    /// Changes the row of a job behind the store's back.
    fn tamper(&self, id: JobId, change: &str) {
        let sql = format!("UPDATE jobs SET {change} WHERE id = ?");
        let changed = self.connect().execute(&sql, [id.to_bits().to_be_bytes()]);
        assert_eq!(changed.unwrap(), 1);
    }
}

impl Nodes for SqliteNodes {
    const EXACT_LIMITS: bool = true;
    const READS_DURING_OUTAGES: bool = true;

    fn create() -> Hook<'static, Self> {
        Box::pin(async {
            let directory = tempfile::tempdir().unwrap();
            Ok(Self {
                path: directory.path().join("jobs.db"),
                _directory: Some(directory),
            })
        })
    }

    fn address(&self) -> String {
        self.path.to_str().unwrap().to_owned()
    }

    fn at(address: &str) -> Self {
        Self {
            path: PathBuf::from(address),
            _directory: None,
        }
    }

    fn open(&self, settings: Settings) -> Hook<'_, Arc<dyn JobStore>> {
        let mut builder = SqliteStore::builder()
            .lease_duration(settings.lease)
            .readers(2)
            .clock(Ahead(settings.ahead));
        if let Some(timeout) = settings.operation_timeout {
            builder = builder.operation_timeout(timeout);
        }
        if let Some(bytes) = settings.chunk_size {
            builder = builder.chunk_size(bytes);
        }
        if let Some(bytes) = settings.max_bytes {
            builder = builder.max_bytes(bytes);
        }
        Box::pin(async move {
            let store = builder.open(&self.path).await.unwrap();
            if settings.is_deaf {
                store.lose_notifications();
            }
            Ok(Arc::new(store) as _)
        })
    }

    fn outage(&self) -> Hook<'_, Outage> {
        Box::pin(async {
            let connection = self.connect();
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            let end = async move {
                drop(connection);
                Ok(())
            };
            Ok(Box::pin(end) as _)
        })
    }

    fn later(&self, span: Duration) -> Hook<'_, ()> {
        Box::pin(async move {
            let later = SqliteStore::builder().clock(Ahead(span));
            let store = later.open(&self.path).await.unwrap();
            store.sweep(&SweepQuery::default()).await.unwrap();
            Ok(())
        })
    }

    fn corrupt(&self, id: JobId) -> Hook<'_, ()> {
        Box::pin(async move {
            self.tamper(id, "owner = 7");
            Ok(())
        })
    }

    fn add_to_format(&self, id: JobId, number: i8) -> Hook<'_, ()> {
        Box::pin(async move {
            self.tamper(id, &format!("format = format + {number}"));
            Ok(())
        })
    }

    fn chunks(&self) -> Hook<'_, Vec<(u64, usize)>> {
        Box::pin(async {
            let file = self.connect();
            let sql = "SELECT epoch, count(*) FROM chunks GROUP BY epoch ORDER BY epoch";
            let mut counted = file.prepare(sql).unwrap();
            let rows = counted.query_map([], |row| {
                Ok((row.get::<_, u32>(0)?.into(), row.get::<_, u32>(1)? as usize))
            });
            Ok(rows.unwrap().map(Result::unwrap).collect())
        })
    }

    fn contains<'a>(&'a self, text: &'a str) -> Hook<'a, bool> {
        Box::pin(async move {
            let contains = |file: &PathBuf| {
                let data = fs::read(file).unwrap();
                data.windows(text.len()).any(|part| part == text.as_bytes())
            };
            let files = fs::read_dir(self.directory()).unwrap();
            let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
            assert_eq!(
                files.len(),
                3,
                "the database, its log and its shared memory"
            );
            Ok(files.iter().any(contains))
        })
    }

    fn counted(&self) -> Hook<'_, Box<dyn Counted>> {
        Box::pin(async { Ok(Box::new(CountedStore::open(&self.path).await) as _) })
    }
}

//! The store in a SQLite file, and its peer.

mod raw;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::Connection;
use tempfile::TempDir;
use tower_async_job::store::JobStore;
use tower_async_job_sqlite::SqliteStore;

use crate::{
    Outcome,
    place::{Peer, Pending, Place},
};

/// The bound of the log, in bytes.
const LOG: u64 = 64 << 20;

/// A file in a directory of its own.
#[derive(Default)]
pub(crate) struct File(Option<TempDir>);

impl File {
    fn path(&self) -> PathBuf {
        let directory = self.0.as_ref().expect("it was made");
        directory.path().join("jobs.db")
    }
}

impl Place for File {
    fn empty(&mut self) -> Outcome<()> {
        self.0 = Some(TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?);
        Ok(())
    }

    fn store(&self) -> Pending<'_, Outcome<Arc<dyn JobStore>>> {
        Box::pin(async { Ok(Arc::new(SqliteStore::open(self.path()).await?) as _) })
    }

    fn peer(&self) -> Pending<'_, Outcome<Arc<dyn Peer>>> {
        Box::pin(async { Ok(Arc::new(raw::Raw::open(&self.path())?) as _) })
    }

    fn bytes(&self) -> Outcome<u64> {
        copy_log(&self.path())?;
        Ok(fs::metadata(self.path())?.len())
    }

    /// It never shrinks while its file is open.
    fn log(&self) -> Option<u64> {
        let log = fs::metadata(self.path().with_extension("db-wal"));
        Some(log.map_or(0, |log| log.len()))
    }

    fn goal(&self) -> f64 {
        0.9
    }
}

pub(crate) fn words_of_log(log: u64) -> String {
    let size = log as f64 / f64::from(1 << 20);
    let bound = if log <= LOG { "within" } else { "beyond" };
    format!("{size:.1} MiB, {bound} its bound")
}

/// Copies the log into the file as a whole. Its connections, which close concurrently, may leave
/// that out.
fn copy_log(path: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open(path)?;
    let copy = "PRAGMA wal_checkpoint(TRUNCATE)";
    while connection.query_row(copy, [], |row| row.get::<_, i64>(0))? != 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

//! A file in SQLite.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use futures_util::future::BoxFuture;
use rusqlite::{Connection, OpenFlags};
use tower_async_job::store::JobStore;
use tower_async_job_sqlite::SqliteStore;

use super::{
    Backend, Disk, Kind, Opening, Place,
    disk::{ENLARGED, SIZE},
    opening,
};

/// The tables that are empty when all jobs are gone.
const TABLES: [&str; 6] = ["jobs", "parts", "keys", "chunks", "bodies", "waiting"];

/// The file of a round.
#[derive(Debug)]
pub(super) struct File {
    directory: PathBuf,
    disk: Option<Disk>,
    /// The maximum size of the file; 0 is none.
    max_bytes: AtomicU64,
}

impl File {
    pub(super) fn new(directory: &Path, is_small: bool) -> anyhow::Result<Self> {
        let disk = is_small.then(|| Disk::new(directory)).transpose()?;
        let is_limited = disk.as_ref().is_some_and(|disk| !disk.is_mounted);
        Ok(Self {
            directory: directory.to_owned(),
            disk,
            max_bytes: AtomicU64::new(if is_limited { SIZE } else { 0 }),
        })
    }

    fn path(&self) -> PathBuf {
        let disk = self.disk.as_ref().map(Disk::path);
        disk.unwrap_or(&self.directory).join("jobs.db")
    }

    fn backup(&self) -> PathBuf {
        self.directory.join("backup.db")
    }

    fn connect(&self) -> anyhow::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let connection = Connection::open_with_flags(self.path(), flags)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        Ok(connection)
    }
}

impl Backend for File {
    fn kind(&self) -> Kind {
        Kind::Sqlite
    }

    fn place(&self, _: &[SocketAddr]) -> Place {
        let max_bytes = self.max_bytes.load(Ordering::Relaxed);
        Place {
            store: self.kind(),
            at: self.path().into(),
            listen_at: None,
            max_bytes: (max_bytes > 0).then_some(max_bytes),
        }
    }

    fn is_nearly_full(&self) -> anyhow::Result<bool> {
        self.disk.as_ref().map_or(Ok(false), Disk::is_nearly_full)
    }

    fn enlarge(&self) -> anyhow::Result<bool> {
        let is_enlarged = self.disk.as_ref().is_some_and(Disk::enlarge);
        if !is_enlarged {
            self.max_bytes.store(ENLARGED, Ordering::Relaxed);
        }
        Ok(!is_enlarged)
    }

    fn back_up(&self) -> anyhow::Result<()> {
        let backup = self.backup();
        let backup = backup.to_str().context("a path")?;
        self.connect()?.execute("VACUUM INTO ?", [backup])?;
        Ok(())
    }

    fn restore(&self) -> anyhow::Result<()> {
        for name in ["jobs.db-wal", "jobs.db-shm"] {
            let _ = fs::remove_file(self.path().with_file_name(name));
        }
        Ok(fs::rename(self.backup(), self.path())?)
    }

    fn damage(&self) -> anyhow::Result<Option<String>> {
        let sql = "SELECT group_concat(integrity_check) FROM pragma_integrity_check";
        let sound = self.connect()?.query_row(sql, [], |row| row.get(0));
        let sound: String = sound.context("the file cannot be checked")?;
        Ok((sound != "ok").then_some(sound))
    }

    fn open_later(&self, later: Duration) -> BoxFuture<'_, anyhow::Result<Arc<dyn JobStore>>> {
        Box::pin(async move { self.place(&[]).open(opening(later)?).await })
    }

    fn remains(&self) -> anyhow::Result<Option<String>> {
        // The file is closed in the background.
        std::thread::sleep(Duration::from_millis(50));
        let connection = self.connect()?;
        for table in TABLES {
            let sql = format!("SELECT count(*) FROM {table}");
            let rows: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
            if rows > 0 {
                return Ok(Some(format!("{rows} rows are left in {table}")));
            }
        }
        Ok(None)
    }

    fn keep(&self, directory: &Path) -> anyhow::Result<()> {
        let Some(disk) = &self.disk else {
            return Ok(());
        };
        for file in fs::read_dir(disk.path())? {
            let file = file?;
            fs::copy(file.path(), directory.join(file.file_name()))?;
        }
        Ok(())
    }
}

pub(super) async fn open(place: &Place, how: Opening) -> anyhow::Result<Arc<dyn JobStore>> {
    let mut store = SqliteStore::builder()
        .lease_duration(how.lease)
        .clock(how.clock);
    if let Some(bytes) = place.max_bytes {
        store = store.max_bytes(bytes).page_size(512);
    }
    Ok(Arc::new(store.open(&place.at).await?))
}

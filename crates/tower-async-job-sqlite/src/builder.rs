use std::{
    fmt,
    num::NonZero,
    path::{self, Path},
    sync::Arc,
    thread,
    time::Duration,
};

use tower_async_job_core::{Clock, StoreProperties, SystemClock};

use crate::{
    engine::Engine,
    error::OpenError,
    settings::{Settings, Synchronous},
    store::SqliteStore,
};

/// The size of a chunk, in bytes.
const CHUNK: usize = 256 << 10;

const DAY: Duration = Duration::from_secs(86_400);

impl SqliteStore {
    /// Opens the store in this file with the default settings, and creates the file if it does not
    /// exist.
    ///
    /// Any async runtime may poll it.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be used; see [`OpenError`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::builder().open(path).await
    }

    /// Returns a builder with the default settings.
    pub fn builder() -> SqliteStoreBuilder {
        SqliteStoreBuilder::default()
    }
}

/// A builder of [`SqliteStore`]s.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use tower_async_job_core::JobStore;
/// use tower_async_job_sqlite::SqliteStore;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("jobs.db");
/// let store = SqliteStore::builder()
///     .lease_duration(Duration::from_secs(10))
///     .max_bytes(4 << 30)
///     .open(path)
///     .await?;
/// assert_eq!(store.properties().lease, Some(Duration::from_secs(10)));
/// # Ok(()) }
/// ```
#[must_use]
pub struct SqliteStoreBuilder {
    lease: Duration,
    operation_timeout: Duration,
    chunk: usize,
    max_bytes: Option<u64>,
    max_log_bytes: u64,
    readers: Option<usize>,
    page_size: Option<u32>,
    synchronous: Synchronous,
    clock: Arc<dyn Clock>,
}

impl Default for SqliteStoreBuilder {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            operation_timeout: Duration::from_secs(5),
            chunk: CHUNK,
            max_bytes: None,
            max_log_bytes: 64 << 20,
            readers: None,
            page_size: None,
            synchronous: Synchronous::Full,
            clock: Arc::new(SystemClock),
        }
    }
}

impl SqliteStoreBuilder {
    /// Sets the time that a lease lasts without renewal; 30 s by default. The jobs of a process that
    /// dies are run again, or lost, after this time.
    ///
    /// Processes that share the file should have the same.
    pub fn lease_duration(mut self, lease: Duration) -> Self {
        self.lease = lease.max(Duration::from_millis(1));
        self
    }

    /// Sets the time after which a call fails as unavailable; 5 s by default, and at most a day.
    /// `AsyncJobLayer` waits for no longer than 5 s.
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout.min(DAY);
        self
    }

    /// Sets the size, in bytes, of the chunks of longer bodies; 256 KiB by default.
    pub fn chunk_size(mut self, bytes: usize) -> Self {
        self.chunk = bytes.max(1);
        self
    }

    /// Sets the maximum size of the file, in bytes, without its log; none by default.
    ///
    /// If it is reached, results that were delivered over 60 s ago are dropped, oldest first, or else
    /// new data is refused with [`is_full`](tower_async_job_core::StoreError::is_full). Changes that
    /// add next to nothing, such as ends with a problem document, are made nevertheless.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Sets the maximum size of the log beside the file, in bytes; 64 MiB by default, and at least
    /// 32 MiB. It is exceeded only while another program reads from the file for long.
    pub fn max_log_bytes(mut self, bytes: u64) -> Self {
        self.max_log_bytes = bytes.max(32 << 20);
        self
    }

    /// Sets the number of threads that read; by default one per processor, but at least 2 and at
    /// most 4.
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = Some(readers.clamp(1, 64));
        self
    }

    /// Sets the size of a page of a new file, for tests of limits.
    #[doc(hidden)]
    pub fn page_size(mut self, bytes: u32) -> Self {
        self.page_size = Some(bytes);
        self
    }

    /// Lets no commit wait for the disk, nor checkpoints unless they `sync`, for tests of what a
    /// power cut then loses.
    #[doc(hidden)]
    pub fn not_durable(mut self, checkpoints_sync: bool) -> Self {
        self.synchronous = match checkpoints_sync {
            true => Synchronous::Normal,
            false => Synchronous::Off,
        };
        self
    }

    /// Sets the clock, for tests.
    #[doc(hidden)]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Opens the store in this file, and creates the file if it does not exist.
    ///
    /// Any async runtime may poll it.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be used; see [`OpenError`].
    pub async fn open(self, path: impl AsRef<Path>) -> Result<SqliteStore, OpenError> {
        let path = path.as_ref();
        // SQLite has names with a special meaning, none of which is absolute.
        let path = path::absolute(path).map_err(|error| OpenError::of_io(path, error))?;
        let processors = || thread::available_parallelism().map_or(2, NonZero::get);
        let settings = Settings {
            path,
            lease: self.lease,
            operation_timeout: self.operation_timeout,
            max_bytes: self.max_bytes,
            max_log_bytes: self.max_log_bytes,
            readers: self.readers.unwrap_or_else(|| processors().clamp(2, 4)),
            page_size: self.page_size,
            synchronous: self.synchronous,
            clock: self.clock,
        };
        let properties = StoreProperties::default()
            .with_name("sqlite")
            .with_lease(self.lease)
            .with_chunk(self.chunk)
            .with_shared(true);
        Ok(SqliteStore::new(Engine::open(settings).await?, properties))
    }
}

impl fmt::Debug for SqliteStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStoreBuilder")
            .field("lease", &self.lease)
            .field("operation_timeout", &self.operation_timeout)
            .field("chunk", &self.chunk)
            .field("max_bytes", &self.max_bytes)
            .field("max_log_bytes", &self.max_log_bytes)
            .field("readers", &self.readers)
            .finish_non_exhaustive()
    }
}

use std::{error::Error, fmt, sync::Arc, time::Duration};

use object_store::ObjectStore;
use tokio::sync::Semaphore;
use tower_async_job_core::{Clock, JobStore, Retention, SystemClock};

use crate::{object::Objects, shared::Settings, store::Offloaded};

const MIB: usize = 1 << 20;

/// The smallest part that S3 and others take, except for the last of an object.
const SMALLEST_PART: usize = 5 * MIB;

impl<S: JobStore> Offloaded<S> {
    /// Wraps a job store with the default settings, and puts its long results into this object store.
    ///
    /// # Errors
    ///
    /// Fails if the job store keeps every result in one piece; see [`InvalidStore`].
    pub fn new(store: S, objects: impl ObjectStore) -> Result<Self, InvalidStore> {
        OffloadedBuilder::default().build(store, objects)
    }
}

/// Of one type, so that a caller need not write it.
impl Offloaded<()> {
    /// Returns a builder with the default settings.
    pub fn builder() -> OffloadedBuilder {
        OffloadedBuilder::default()
    }
}

/// A builder of [`Offloaded`] stores.
///
/// ```
/// use std::time::Duration;
/// use tower_async_job_core::MemoryStore;
/// use tower_async_job_offload::{Offloaded, object_store::memory::InMemory};
///
/// let store = MemoryStore::builder().chunk_size(256 << 10).build();
/// let store = Offloaded::builder()
///     .threshold(32 << 20)
///     .retention(Duration::from_secs(7 * 86_400))
///     .build(store, InMemory::new())?;
/// # drop(store);
/// # Ok::<(), tower_async_job_offload::InvalidStore>(())
/// ```
#[must_use]
pub struct OffloadedBuilder {
    threshold: u64,
    part: usize,
    uploads: usize,
    retention: Duration,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl Default for OffloadedBuilder {
    fn default() -> Self {
        Self {
            threshold: 8 * MIB as u64,
            part: 8 * MIB,
            uploads: 16,
            retention: Retention::default().result,
            timeout: Duration::from_secs(5),
            clock: Arc::new(SystemClock),
        }
    }
}

impl OffloadedBuilder {
    /// Sets the length, in bytes, beyond which a result is put into the object store; 8 MiB by default.
    ///
    /// A result of up to one chunk of the job store always stays there. Up to this many bytes of each
    /// result are held in memory while it is recorded.
    pub fn threshold(mut self, bytes: u64) -> Self {
        self.threshold = bytes;
        self
    }

    /// Sets the size of the parts of an upload, in bytes; 8 MiB by default, and at least 5 MiB, which is
    /// the smallest that S3 takes.
    ///
    /// Two parts of each result are held in memory while it is uploaded. An upload to S3 has at most
    /// 10,000 parts, so the default allows results of 78 GiB.
    pub fn part_size(self, bytes: usize) -> Self {
        self.any_part_size(bytes.max(SMALLEST_PART))
    }

    /// Sets any size of parts, for tests.
    #[doc(hidden)]
    pub fn any_part_size(mut self, bytes: usize) -> Self {
        self.part = bytes.max(1);
        self
    }

    /// Sets the number of parts that this process uploads at once; 16 by default, and at least 1. Of one
    /// result, it is one.
    pub fn max_uploads(mut self, parts: usize) -> Self {
        self.uploads = parts.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Sets the usual retention of results, as set in the layer; one hour by default.
    ///
    /// Once every hour, the objects of days that ended longer ago are compared with the job store, and
    /// deleted if they belong to no job. With a longer retention in the layer, objects that are kept are
    /// compared again each time; none is deleted too early.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Sets the time after which a call that waits for the object store fails as unavailable; 5 s by
    /// default. Uploads go on in between; see the overview of the crate.
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the clock that names the days of objects, and by which an hour passes.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Wraps a job store, and puts its long results into this object store.
    ///
    /// # Errors
    ///
    /// Fails if the job store keeps every result in one piece; see [`InvalidStore`].
    pub fn build<S: JobStore>(
        self,
        store: S,
        objects: impl ObjectStore,
    ) -> Result<Offloaded<S>, InvalidStore> {
        if store.properties().chunk.is_none() {
            return Err(InvalidStore(()));
        }
        let objects = Objects {
            store: Arc::new(objects),
            part: self.part,
            places: Semaphore::new(self.uploads),
        };
        let settings = Settings {
            threshold: self.threshold,
            retention: self.retention,
            timeout: self.timeout,
            clock: self.clock,
        };
        Ok(Offloaded::of(store, objects, settings))
    }
}

impl fmt::Debug for OffloadedBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OffloadedBuilder")
            .field("threshold", &self.threshold)
            .field("part_size", &self.part)
            .field("max_uploads", &self.uploads)
            .field("retention", &self.retention)
            .field("operation_timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The error of a job store that keeps every result in one piece, so that none can be put elsewhere.
///
/// ```
/// use tower_async_job_core::MemoryStore;
/// use tower_async_job_offload::{Offloaded, object_store::memory::InMemory};
///
/// let error = Offloaded::new(MemoryStore::new(), InMemory::new()).unwrap_err();
/// let text = "the job store keeps every result in one piece: set its chunk size";
/// assert_eq!(error.to_string(), text);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidStore(());

impl fmt::Display for InvalidStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the job store keeps every result in one piece: set its chunk size")
    }
}

impl Error for InvalidStore {}

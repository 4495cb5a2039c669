use std::{fmt, sync::Arc, time::Duration};

use super::{
    MemoryStore,
    budget::Budget,
    clock::{Clock, SystemClock},
    jobs::Jobs,
};
use crate::properties::StoreProperties;

impl MemoryStore {
    /// Creates a store with the default limits.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder of a store.
    pub fn builder() -> MemoryStoreBuilder {
        MemoryStoreBuilder::default()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

/// A builder of [`MemoryStore`]s.
///
/// ```
/// use std::time::Duration;
/// use tower_async_job_core::{JobStore, MemoryStore};
///
/// let store = MemoryStore::builder()
///     .max_jobs(10_000)
///     .max_bytes(64 << 20)
///     .lease_duration(Duration::from_secs(30))
///     .build();
/// assert_eq!(store.properties().lease, Some(Duration::from_secs(30)));
/// ```
#[must_use]
pub struct MemoryStoreBuilder {
    max_jobs: usize,
    max_bytes: usize,
    max_tombstones: usize,
    properties: StoreProperties,
    shards: Option<usize>,
    clock: Arc<dyn Clock>,
    #[cfg(http_polling_loom)]
    forgets_ends: bool,
}

impl Default for MemoryStoreBuilder {
    fn default() -> Self {
        Self {
            max_jobs: 100_000,
            max_bytes: 256 << 20,
            max_tombstones: 100_000,
            properties: StoreProperties::default().with_name("memory"),
            shards: None,
            clock: Arc::new(SystemClock),
            #[cfg(http_polling_loom)]
            forgets_ends: false,
        }
    }
}

impl MemoryStoreBuilder {
    /// Sets the maximum number of jobs, including those whose result is kept; 100,000 by default.
    pub fn max_jobs(mut self, jobs: usize) -> Self {
        self.max_jobs = jobs;
        self
    }

    /// Sets the maximum bytes of all jobs: requests, results, room reserved for results, partial
    /// results, metadata, messages, routes, principals and keys; 256 MiB by default.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets the maximum number of expired jobs that are remembered; 100,000 by default.
    pub fn max_tombstones(mut self, tombstones: usize) -> Self {
        self.max_tombstones = tombstones;
        self
    }

    /// Sets the time that a lease lasts without renewal. By default leases last as long as the
    /// process, since a worker of the same process does not vanish.
    pub fn lease_duration(mut self, lease: Duration) -> Self {
        self.properties.lease = Some(lease);
        self
    }

    /// Sets the size, in bytes, of the chunks of longer bodies. By default every result is stored
    /// in one piece, which takes less.
    pub fn chunk_size(mut self, bytes: usize) -> Self {
        self.properties.chunk = Some(bytes);
        self
    }

    /// Sets the number of shards, each with its own lock: 1 to 65,536. By default there is one for
    /// every 2,048 jobs of [`max_jobs`](Self::max_jobs), but at least 64 and at most 1,024.
    ///
    /// A shard that grows rebuilds its indexes under its lock: in about 0.1 ms for 4,096 jobs,
    /// and in proportion for more.
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = Some(shards.clamp(1, 1 << 16));
        self
    }

    /// Sets the clock that measures times; the machine's by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Wakes only the present waiters at a job's end, which loses wake-ups. It proves that the
    /// model checker finds this fault.
    #[cfg(http_polling_loom)]
    #[doc(hidden)]
    pub fn forgetting_ends(mut self) -> Self {
        self.forgets_ends = true;
        self
    }

    /// Builds the store.
    #[must_use]
    pub fn build(self) -> MemoryStore {
        let shards = self
            .shards
            .unwrap_or((self.max_jobs / 2048).clamp(64, 1024));
        let budget = Budget::new(self.max_jobs, self.max_bytes, self.max_tombstones);
        #[cfg_attr(not(http_polling_loom), expect(unused_mut))]
        let mut jobs = Jobs::new(shards, budget, self.clock, self.properties);
        #[cfg(http_polling_loom)]
        {
            jobs.forgets_ends = self.forgets_ends;
        }
        MemoryStore { jobs }
    }
}

impl fmt::Debug for MemoryStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStoreBuilder")
            .field("max_jobs", &self.max_jobs)
            .field("max_bytes", &self.max_bytes)
            .field("max_tombstones", &self.max_tombstones)
            .field("properties", &self.properties)
            .field("shards", &self.shards)
            .finish_non_exhaustive()
    }
}

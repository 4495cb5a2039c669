use std::{fmt, sync::Arc, time::Duration};

use tower_async_job_core::{JobStore, MemoryStore, MemoryStoreBuilder};

use crate::{
    clock::TestClock,
    harness::{Harness, Hook, Limits},
};

/// The lease of the stores of a [`MemoryHarness`].
const LEASE: Duration = Duration::from_secs(30);

/// The size of their chunks, in bytes.
const CHUNK: usize = 1000;

type Wrap = Arc<dyn Fn(MemoryStore) -> Arc<dyn JobStore> + Send + Sync>;

/// The harness of [`MemoryStore`], and of stores that wrap it.
///
/// Leases last 30 s, and chunks have 1000 bytes.
///
/// ```
/// use tower_async_job_testkit::{Harness, MemoryHarness};
///
/// let harness = MemoryHarness::new();
/// assert!(format!("{:?}", harness.store()).starts_with("MemoryStore"));
/// ```
pub struct MemoryHarness {
    store: Arc<dyn JobStore>,
    clock: TestClock,
    wrap: Wrap,
}

impl MemoryHarness {
    /// Creates the harness of a new in-memory store.
    pub fn new() -> Self {
        Self::wrapping(|store| Arc::new(store))
    }

    /// Creates the harness of a store that wraps an in-memory store.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tower_async_job_testkit::MemoryHarness;
    ///
    /// let harness = MemoryHarness::wrapping(|store| Arc::new(store));
    /// # drop(harness);
    /// ```
    pub fn wrapping(
        wrap: impl Fn(MemoryStore) -> Arc<dyn JobStore> + Send + Sync + 'static,
    ) -> Self {
        Self::build(Arc::new(wrap), |builder| builder)
    }

    fn build(wrap: Wrap, limit: impl FnOnce(MemoryStoreBuilder) -> MemoryStoreBuilder) -> Self {
        let clock = TestClock::new();
        let builder = MemoryStore::builder()
            .lease_duration(LEASE)
            .chunk_size(CHUNK)
            .clock(clock.clone());
        Self {
            store: wrap(limit(builder).build()),
            clock,
            wrap,
        }
    }
}

impl Default for MemoryHarness {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryHarness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryHarness")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl Harness for MemoryHarness {
    fn store(&self) -> Arc<dyn JobStore> {
        Arc::clone(&self.store)
    }

    fn second(&self) -> Hook<'_, Arc<dyn JobStore>> {
        Box::pin(async { Ok(self.store()) })
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

    fn limited(&self, limits: Limits) -> Hook<'_, Box<dyn Harness>> {
        Box::pin(async move {
            let limited = Self::build(Arc::clone(&self.wrap), |mut builder| {
                if let Some(jobs) = limits.jobs {
                    builder = builder.max_jobs(jobs);
                }
                if let Some(bytes) = limits.bytes {
                    builder = builder.max_bytes(bytes);
                }
                builder
            });
            Ok(Box::new(limited) as Box<dyn Harness>)
        })
    }
}

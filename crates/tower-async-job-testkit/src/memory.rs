use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use tower_async_job_core::{Clock, JobStore, MemoryStore, MemoryStoreBuilder};

use crate::harness::{Harness, Hook, Limits};

/// The lease of the stores of a [`MemoryHarness`].
const LEASE: Duration = Duration::from_secs(30);

/// The size of their chunks, in bytes.
const CHUNK: usize = 1000;

/// A clock that stands still unless moved.
#[derive(Clone)]
struct TestClock {
    start: Instant,
    start_of_day: SystemTime,
    micros: Arc<AtomicU64>,
}

impl TestClock {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            start_of_day: SystemTime::now(),
            // An hour after the origin, so that the clock can be set back.
            micros: Arc::new(AtomicU64::new(3_600_000_000)),
        }
    }

    fn passed(&self) -> Duration {
        Duration::from_micros(self.micros.load(Ordering::SeqCst))
    }
}

impl Clock for TestClock {
    fn now(&self) -> Instant {
        self.start + self.passed()
    }

    fn system_time(&self) -> SystemTime {
        self.start_of_day + self.passed()
    }
}

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
            let micros = span.as_micros() as u64;
            self.clock.micros.fetch_add(micros, Ordering::SeqCst);
            Ok(())
        })
    }

    fn jump_back(&self, span: Duration) -> Hook<'_, ()> {
        Box::pin(async move {
            let micros = span.as_micros() as u64;
            self.clock.micros.fetch_sub(micros, Ordering::SeqCst);
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

use std::time::{Duration, Instant, SystemTime};

/// The time as a [`MemoryStore`](crate::MemoryStore) sees it.
///
/// A closure that returns an `Instant` is a clock, which is how tests bring their own time.
///
/// ```
/// use std::time::{Duration, Instant};
/// use tower_async_job_core::MemoryStore;
///
/// let start = Instant::now();
/// let store = MemoryStore::builder().clock(move || start + Duration::from_secs(60)).build();
/// # drop(store);
/// ```
pub trait Clock: Send + Sync + 'static {
    /// The time that leases, ages and retention are reckoned by. It does not run backwards.
    fn now(&self) -> Instant;

    /// The time of day, recorded once per job for people to read, and never reckoned with.
    fn system_time(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// The clock of the machine: the default.
///
/// ```
/// use tower_async_job_core::{Clock, SystemClock};
///
/// let earlier = SystemClock.now();
/// assert!(SystemClock.now() >= earlier);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }
}

impl<F> Clock for F
where
    F: Fn() -> Instant + Send + Sync + 'static,
{
    fn now(&self) -> Instant {
        self()
    }
}

/// Microseconds since the store was made.
pub(super) type Micros = u64;

/// A time that does not come.
pub(super) const NEVER: Micros = Micros::MAX;

/// A second, in microseconds.
pub(super) const SECOND: Micros = 1_000_000;

/// The length of a time span in microseconds, rounded up; beyond all range it is [`NEVER`].
pub(super) fn micros(span: Duration) -> Micros {
    Micros::try_from(span.as_nanos().div_ceil(1000)).unwrap_or(NEVER)
}

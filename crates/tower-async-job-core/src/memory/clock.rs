use std::time::{Duration, Instant, SystemTime};

/// The clock of a [`MemoryStore`](crate::MemoryStore).
///
/// A closure that returns an `Instant` is a clock, for tests with their own time. Its time of day is
/// that of the machine: implement the trait where both have to move together, as in a harness.
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
    /// Returns the time by which leases, ages and retention are measured. It never runs backwards.
    fn now(&self) -> Instant;

    /// Returns the time of day, which is recorded once per job for people to read. It is measured by
    /// only for the age of a job that is [stored again](crate::NewJob::created).
    fn system_time(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// The machine's clock, which is the default.
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

/// A time of the store, in microseconds.
pub(super) type Micros = u64;

/// The time at which the store is created. A job that is stored again may be some decades older.
pub(super) const ORIGIN: Micros = 1 << 50;

/// A time that never comes.
pub(super) const NEVER: Micros = Micros::MAX;

/// A second, in microseconds.
pub(super) const SECOND: Micros = 1_000_000;

/// Converts a time span to microseconds, rounded up; one out of range becomes [`NEVER`].
pub(super) fn micros(span: Duration) -> Micros {
    let whole = span.as_secs().checked_mul(SECOND);
    let part = span.subsec_nanos().div_ceil(1000).into();
    whole
        .and_then(|whole| whole.checked_add(part))
        .unwrap_or(NEVER)
}

/// Converts a time of day to microseconds since the Unix epoch.
pub(super) fn wall_micros(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(0)
}

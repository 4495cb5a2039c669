//! The time of the store.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use tower_async_job_core::Clock;

/// A time in microseconds since the Unix epoch, or a time span in microseconds.
pub(crate) type Micros = i64;

/// A time that never comes.
pub(crate) const NEVER: Micros = Micros::MAX;

/// A second, in microseconds.
pub(crate) const SECOND: Micros = 1_000_000;

/// Converts a time span to microseconds, rounded up; one out of range becomes [`NEVER`].
pub(crate) fn micros(span: Duration) -> Micros {
    Micros::try_from(span.as_nanos().div_ceil(1000)).unwrap_or(NEVER)
}

/// Returns the time from one time to another; zero if it is negative.
pub(crate) fn span(from: Micros, to: Micros) -> Duration {
    let span = to.saturating_sub(from);
    Duration::from_micros(u64::try_from(span).unwrap_or(0))
}

/// Converts a time of day to microseconds since the Unix epoch.
pub(crate) fn of_day(time: SystemTime) -> Micros {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    Micros::try_from(since.unwrap_or_default().as_micros()).unwrap_or(NEVER)
}

/// Converts microseconds since the Unix epoch to a time of day.
pub(crate) fn to_day(time: Micros) -> SystemTime {
    let day = SystemTime::UNIX_EPOCH.checked_add(span(0, time));
    day.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The clock of an open store.
///
/// Its time is the time of day at opening plus the elapsed monotonic time, and is never below the
/// mark in the file: the latest time at which any process has committed. So it survives restarts,
/// agrees between processes, and never runs backwards, even if the time of day is set back. All
/// times in the file are derived from a time that its mark has reached, so no lease in it lasts
/// longer than a lease duration from now.
pub(crate) struct StoreClock {
    clock: Arc<dyn Clock>,
    origin: Instant,
    /// The time at `origin`.
    base: AtomicI64,
}

impl StoreClock {
    /// Starts the clock at the time of day, or at the mark if that is later.
    pub(crate) fn start(clock: Arc<dyn Clock>, mark: Micros) -> Self {
        let base = of_day(clock.system_time()).max(mark);
        Self {
            origin: clock.now(),
            clock,
            base: AtomicI64::new(base),
        }
    }

    /// Returns the time.
    pub(crate) fn now(&self) -> Micros {
        // The base orders no other data.
        let base = self.base.load(Ordering::Relaxed);
        base.saturating_add(self.elapsed())
    }

    /// Advances to the mark of another process, if it is later, and returns the time.
    pub(crate) fn reach(&self, mark: Micros) -> Micros {
        let base = mark.saturating_sub(self.elapsed());
        self.base.fetch_max(base, Ordering::Relaxed);
        self.now().max(mark)
    }

    /// Returns the time of day, for people to read.
    pub(crate) fn day(&self) -> Micros {
        of_day(self.clock.system_time())
    }

    fn elapsed(&self) -> Micros {
        let elapsed = self.clock.now().saturating_duration_since(self.origin);
        Micros::try_from(elapsed.as_micros()).unwrap_or(NEVER)
    }
}

impl fmt::Debug for StoreClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreClock")
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}

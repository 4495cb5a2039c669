//! The time of the store.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use redis::Value;
use tower_async_job_core::{Clock, StoreError};

use crate::value::{list, number, unexpected};

/// A time in microseconds since the Unix epoch, or a time span in microseconds.
pub(crate) type Micros = i64;

/// A time that never comes: the largest number that a script computes exactly.
pub(crate) const NEVER: Micros = (1 << 53) - 1;

/// Converts a time span to microseconds, rounded up; one out of range becomes [`NEVER`].
pub(crate) fn micros(span: Duration) -> Micros {
    let micros = Micros::try_from(span.as_nanos().div_ceil(1000));
    micros.unwrap_or(NEVER).min(NEVER)
}

/// Returns the time from one time to another; zero if it is negative.
pub(crate) fn span(from: Micros, to: Micros) -> Duration {
    let span = to.saturating_sub(from);
    Duration::from_micros(u64::try_from(span).unwrap_or(0))
}

/// Converts a time of day to microseconds since the Unix epoch.
pub(crate) fn of_day(time: SystemTime) -> Micros {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let micros = Micros::try_from(since.unwrap_or_default().as_micros());
    micros.unwrap_or(NEVER).min(NEVER)
}

/// Converts microseconds since the Unix epoch to a time of day.
pub(crate) fn to_day(time: Micros) -> SystemTime {
    let day = SystemTime::UNIX_EPOCH.checked_add(span(0, time));
    day.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The clock of the store, which is that of the server, unless a test has its own.
#[derive(Clone, Default)]
pub(crate) struct StoreClock(Option<Arc<dyn Clock>>);

impl StoreClock {
    pub(crate) fn of_test(clock: impl Clock) -> Self {
        Self(Some(Arc::new(clock)))
    }

    /// Returns the argument of scripts: the time, or nothing if the server has to look.
    pub(crate) fn argument(&self) -> String {
        let clock = self.0.as_ref();
        clock.map_or_else(String::new, |clock| of_day(clock.system_time()).to_string())
    }

    /// Returns the time, by the answer of the server to `TIME`: seconds, and microseconds.
    pub(crate) fn read(&self, answer: Option<Value>) -> Result<Micros, StoreError> {
        if let Some(clock) = &self.0 {
            return Ok(of_day(clock.system_time()));
        }
        let numbers = list(answer.unwrap_or(Value::Nil))?.into_iter().map(number);
        match numbers.collect::<Result<Vec<_>, _>>()?[..] {
            [seconds, micros] => Ok(seconds * 1_000_000 + micros),
            _ => Err(unexpected()),
        }
    }

    /// Returns a time of this process, by which the time that passes is measured.
    pub(crate) fn instant(&self) -> Instant {
        self.0
            .as_ref()
            .map_or_else(Instant::now, |clock| clock.now())
    }
}

impl fmt::Debug for StoreClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreClock").finish_non_exhaustive()
    }
}

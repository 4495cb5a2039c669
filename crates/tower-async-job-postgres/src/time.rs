//! Times as the database has them.

use std::time::{Duration, SystemTime};

/// A time in microseconds since the Unix epoch, or a time span in microseconds.
pub(crate) type Micros = i64;

/// The longest time span, some 18,000 years. The sum of several, and the time of day, is in range.
pub(crate) const LONGEST: Micros = 1 << 59;

/// Converts a time span to microseconds, rounded up, and limited.
pub(crate) fn micros(span: Duration) -> Micros {
    Micros::try_from(span.as_nanos().div_ceil(1000)).map_or(LONGEST, |span| span.min(LONGEST))
}

/// Returns the time from one time to another; zero if it is negative.
pub(crate) fn span(from: Micros, to: Micros) -> Duration {
    let span = to.saturating_sub(from);
    Duration::from_micros(u64::try_from(span).unwrap_or(0))
}

/// Converts a time of day to microseconds since the Unix epoch.
pub(crate) fn of_day(time: SystemTime) -> Micros {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let since = since.unwrap_or_default().as_micros();
    Micros::try_from(since).map_or(LONGEST, |since| since.min(LONGEST))
}

/// Converts microseconds since the Unix epoch to a time of day.
pub(crate) fn to_day(time: Micros) -> SystemTime {
    let day = SystemTime::UNIX_EPOCH.checked_add(span(0, time));
    day.unwrap_or(SystemTime::UNIX_EPOCH)
}

//! Times and alarms.

pub(crate) mod alarm;

use std::time::Duration;

use tokio::time::Instant;

/// A duration that is as good as endless.
const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// Returns the time after a duration from now; no duration is too long.
pub(crate) fn later(duration: Duration) -> Instant {
    after(Instant::now(), duration)
}

/// Returns the time after a duration; no duration is too long.
pub(crate) fn after(begin: Instant, duration: Duration) -> Instant {
    let end = begin.checked_add(duration);
    end.unwrap_or_else(|| begin + FAR_FUTURE)
}

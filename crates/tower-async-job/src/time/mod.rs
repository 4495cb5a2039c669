//! Instants and alarms.

pub(crate) mod alarm;

use std::time::Duration;

use tokio::time::Instant;

/// A duration that is practically endless.
const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// Returns the instant `duration` from now, and saturates.
pub(crate) fn later(duration: Duration) -> Instant {
    after(Instant::now(), duration)
}

/// Returns the instant `duration` after `begin`, and saturates.
pub(crate) fn after(begin: Instant, duration: Duration) -> Instant {
    let end = begin.checked_add(duration);
    end.unwrap_or_else(|| begin + FAR_FUTURE)
}

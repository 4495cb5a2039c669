//! Instants and alarms.

pub(crate) mod alarm;

use std::time::Duration;

use tokio::time::Instant;
use tower_async_job_core::JobId;

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

/// Returns a random time between half of this and all of it, so that nodes do not claim together.
pub(crate) fn spread(time: Duration) -> Duration {
    let share = f64::from(JobId::random().to_bits() as u8) / f64::from(u8::MAX);
    time.mul_f64(0.5 + share / 2.0)
}

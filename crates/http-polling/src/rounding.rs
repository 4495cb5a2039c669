//! Durations in whole units.

use std::time::Duration;

/// Returns `duration` in seconds, rounded up and saturating.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    let part = u64::from(duration.subsec_nanos() > 0);
    duration.as_secs().saturating_add(part)
}

/// Returns `duration` in milliseconds, rounded up and saturating.
pub(crate) fn whole_millis(duration: Duration) -> u64 {
    let part = u64::from(duration.subsec_nanos().div_ceil(1_000_000));
    duration
        .as_secs()
        .saturating_mul(1_000)
        .saturating_add(part)
}

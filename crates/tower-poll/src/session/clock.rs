//! Wall time that runs with the timer's clock.

use std::time::SystemTime;

use tokio::time::Instant;

/// The wall clock, read once and advanced by the monotonic one, so that
/// setting the clock changes nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
    wall: SystemTime,
}

impl Clock {
    pub(crate) fn start_now() -> Self {
        Self {
            start: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// The time when this clock was started.
    pub(crate) fn start(&self) -> Instant {
        self.start
    }

    /// The wall time at `instant`.
    pub(crate) fn wall(&self, instant: Instant) -> SystemTime {
        // The usual one: that of the answer to the submission.
        if instant == self.start {
            return self.wall;
        }
        let passed = instant.saturating_duration_since(self.start);
        self.wall.checked_add(passed).unwrap_or(self.wall)
    }
}

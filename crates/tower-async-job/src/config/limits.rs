//! The limits of what clients may use of a node.

use std::time::Duration;

/// The numbers of requests that may run at once, and that may wait to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) running: usize,
    pub(crate) queued: usize,
}

impl Limits {
    pub(crate) const NONE: Self = Self {
        running: usize::MAX,
        queued: usize::MAX,
    };

    pub(crate) fn all(self) -> usize {
        self.running.saturating_add(self.queued)
    }
}

/// The numbers of polls, or of streams, that may be held at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HoldLimits {
    pub(crate) overall: usize,
    pub(crate) per_principal: usize,
}

/// The slowest acceptable pace of a body. Only the time that its reader waits for it counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// The time that it may stand still, or be behind the rate.
    pub(crate) still: Duration,
    /// The total time that it may take.
    pub(crate) total: Duration,
    /// The bytes that must arrive per second; zero requires none.
    pub(crate) rate: u32,
}

impl Pace {
    /// Returns the longest time to wait for this number of bytes.
    pub(crate) fn time_for(&self, bytes: u64) -> Duration {
        let earned = bytes.saturating_mul(1_000).checked_div(self.rate.into());
        let earned = earned.map_or(self.total, Duration::from_millis);
        self.still.saturating_add(earned).min(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_earn_time_up_to_all_of_it() {
        let second = Duration::from_secs(1);
        let pace = Pace {
            still: 30 * second,
            total: 600 * second,
            rate: 500,
        };
        assert_eq!(pace.time_for(0), 30 * second);
        assert_eq!(pace.time_for(50_000), 130 * second);
        assert_eq!(pace.time_for(u64::MAX), 600 * second);
        assert_eq!(Pace { rate: 0, ..pace }.time_for(0), 600 * second);
    }
}

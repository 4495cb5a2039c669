//! The time that clients have to send a request's body.

use std::time::Duration;

use tokio::time::Instant;

use crate::shared::after;

/// The slowest that a body may come. Only the time counts in which its reader waits for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// The time that it may stand still, and be behind the rate.
    pub(crate) still: Duration,
    /// The time that it may take altogether.
    pub(crate) total: Duration,
    /// The bytes that have to come in a second; zero asks for none.
    pub(crate) rate: u32,
}

impl Pace {
    /// Returns how long so many bytes may be waited for.
    fn time_for(&self, bytes: u64) -> Duration {
        let earned = bytes.saturating_mul(1_000).checked_div(self.rate.into());
        let earned = earned.map_or(self.total, Duration::from_millis);
        self.still.saturating_add(earned).min(self.total)
    }
}

/// The part of a body that has come, and the time that it was waited for.
#[derive(Debug, Default)]
pub(super) struct Came {
    bytes: u64,
    waited: Duration,
    /// The time since which the reader waits.
    since: Option<Instant>,
}

impl Came {
    /// There is nothing yet.
    pub(super) fn nothing(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// So many bytes have come, or the end.
    pub(super) fn something(&mut self, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
        self.bytes += bytes as u64;
    }

    /// The reader waits no more.
    pub(super) fn turned_away(&mut self) {
        self.since = None;
    }

    /// Returns when it will have been waited for too long, if it is waited for.
    pub(super) fn due(&self, pace: &Pace) -> Option<Instant> {
        let left = pace.time_for(self.bytes).saturating_sub(self.waited);
        self.since.map(|since| after(since, left.min(pace.still)))
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

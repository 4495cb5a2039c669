//! The time that clients have to send a request's body.

use std::time::Duration;

use tokio::time::Instant;

use crate::{config::limits::Pace, time::after};

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

//! The time that clients have to send a request's body.

use std::time::Duration;

use tokio::time::Instant;

use crate::{config::limits::Pace, time::after};

/// The bytes of a body that have arrived, and the time spent waiting for them.
#[derive(Debug, Default)]
pub(super) struct Came {
    bytes: u64,
    waited: Duration,
    /// The start of the reader's current wait.
    since: Option<Instant>,
}

impl Came {
    /// Notes that the reader waits.
    pub(super) fn nothing(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// Notes that this number of bytes has arrived, or the end.
    pub(super) fn something(&mut self, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
        self.bytes += bytes as u64;
    }

    /// Notes that the reader stops waiting.
    pub(super) fn turned_away(&mut self) {
        self.since = None;
    }

    /// Returns the time at which the body will be late, if its reader waits.
    pub(super) fn due(&self, pace: &Pace) -> Option<Instant> {
        let left = pace.time_for(self.bytes).saturating_sub(self.waited);
        self.since.map(|since| after(since, left.min(pace.still)))
    }
}

//! The shutdown of a node: no new jobs, a grace for running ones, then the end.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tower_async_job_core::JobId;

use crate::signal::Signal;

/// The end of a grace, in which clients are not asked to poll again.
const LAST_MOMENT: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(crate) struct Shutdown {
    /// No more jobs are created.
    pub(crate) begun: Signal,
    grace_end: Mutex<Option<Instant>>,
    /// The grace is over: no work continues.
    pub(crate) given_up: Signal,
    /// The shutdown is over: polls are no longer held.
    pub(crate) over: Signal,
}

impl Shutdown {
    /// Begins the shutdown. Returns the end of its grace, which is the earliest given.
    pub(crate) fn begin(&self, end: Instant) -> Instant {
        let end = {
            let mut earliest = self.grace_end();
            let end = earliest.map_or(end, |earliest| earliest.min(end));
            *earliest.insert(end)
        };
        self.begun.set();
        end
    }

    /// Returns the longest delay after which a client still gets an answer within the grace. It
    /// differs between jobs, so that their clients do not return all at once.
    pub(crate) fn latest_poll(&self, id: &JobId) -> Duration {
        let spread = f64::from(id.to_bits() as u8) / f64::from(u8::MAX);
        self.grace_left()
            .saturating_sub(LAST_MOMENT)
            .mul_f64(1.0 - spread / 4.0)
    }

    /// Returns the rest of the grace, if it is too short for another poll.
    pub(crate) fn last_moment(&self) -> Option<Duration> {
        let left = self.begun.is_set().then(|| self.grace_left());
        left.filter(|left| *left < 2 * LAST_MOMENT)
    }

    fn grace_left(&self) -> Duration {
        let end = self.grace_end().unwrap_or_else(Instant::now);
        end.saturating_duration_since(Instant::now())
    }

    fn grace_end(&self) -> MutexGuard<'_, Option<Instant>> {
        self.grace_end
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

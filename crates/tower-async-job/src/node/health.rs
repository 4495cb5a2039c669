//! The state of the store, as the calls of this process have found it.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;
use tower_async_job_core::StoreError;

/// The time of a state, in milliseconds since the creation of the node and one more; 0 is never.
type Millis = AtomicU64;

/// The shortest time between two probes, and between two requests that find out whether the store is
/// available again.
const INTERVAL: Duration = Duration::from_secs(1);

/// The latest answers and failures of a store.
#[derive(Debug)]
pub(crate) struct Health {
    created: Instant,
    /// The latest answer, which may be an error about a job.
    answered: Millis,
    /// The beginning of the first call that has failed since then.
    failing: Millis,
    /// The latest answer or failure, or the latest beginning of a probe.
    tried: Millis,
    /// The latest request that was let through although the store was known to be unavailable.
    requested: Millis,
    /// The latest sweep counted other nodes.
    has_others: AtomicBool,
}

impl Health {
    /// Creates the state of a store that was not called yet. One that is within this process is
    /// always reached.
    pub(crate) fn new(is_within: bool) -> Self {
        Self {
            created: Instant::now(),
            answered: Millis::new(is_within.into()),
            failing: Millis::new(0),
            tried: Millis::new(0),
            requested: Millis::new(0),
            has_others: AtomicBool::new(false),
        }
    }

    /// Notes the end of a call that began then. Returns whether the store is available, if that has
    /// changed.
    pub(crate) fn note(&self, began: Instant, error: Option<&StoreError>) -> Option<bool> {
        let now = self.millis(Instant::now());
        self.tried.fetch_max(now, Ordering::Relaxed);
        if !error.is_some_and(StoreError::is_unavailable) {
            let is_first = self.answered.fetch_max(now, Ordering::Relaxed) == 0;
            let failed = self.failing.load(Ordering::Relaxed) != 0
                && self.failing.swap(0, Ordering::Relaxed) != 0;
            return (is_first || failed).then_some(true);
        }
        let began = self.millis(began);
        // The answer to a later call counts.
        if self.answered.load(Ordering::Relaxed) > began {
            return None;
        }
        let first = (self.failing).compare_exchange(0, began, Ordering::Relaxed, Ordering::Relaxed);
        first.is_ok().then_some(false)
    }

    /// Notes how many nodes a sweep has counted.
    pub(crate) fn note_nodes(&self, nodes: u32) {
        self.has_others.store(nodes > 1, Ordering::Relaxed);
    }

    /// Returns whether the store has ever answered.
    pub(crate) fn is_reached(&self) -> bool {
        self.answered.load(Ordering::Relaxed) != 0
    }

    /// Returns whether the store has answered the latest call.
    pub(crate) fn is_available(&self) -> bool {
        self.is_reached() && self.failing.load(Ordering::Relaxed) == 0
    }

    /// Returns whether all calls have failed for this time.
    pub(crate) fn has_failed_for(&self, time: Duration) -> bool {
        let failing = self.failing.load(Ordering::Relaxed);
        failing != 0 && self.millis(Instant::now()).saturating_sub(failing) >= as_millis(time)
    }

    /// Returns whether all calls have failed for this time, while other nodes may exist.
    pub(crate) fn is_cut_off(&self, time: Duration) -> bool {
        self.has_others.load(Ordering::Relaxed) && self.has_failed_for(time)
    }

    /// Returns whether a probe may begin, since the store was not called within the interval, nor
    /// another probe begun.
    pub(crate) fn may_probe(&self) -> bool {
        self.is_over(&self.tried)
    }

    /// Returns whether a request may find out whether the store is still unavailable, since none has
    /// within the interval.
    pub(crate) fn may_try(&self) -> bool {
        self.is_over(&self.requested)
    }

    /// Returns whether the interval since then is over, and begins the next.
    fn is_over(&self, latest: &Millis) -> bool {
        let now = self.millis(Instant::now());
        let since = latest.load(Ordering::Relaxed);
        let is_over = since == 0 || now.saturating_sub(since) >= as_millis(INTERVAL);
        is_over
            && latest
                .compare_exchange(since, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    fn millis(&self, time: Instant) -> u64 {
        as_millis(time.saturating_duration_since(self.created)).saturating_add(1)
    }
}

fn as_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

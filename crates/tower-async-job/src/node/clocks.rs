//! The comparison of the clock that measures leases, the store's, with that of the node.
//!
//! If the store's clock jumps, leases end early or late. For one lease, a node that sees a jump then
//! takes nothing from others, so that every node alive can renew its leases.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::time::after;

/// The largest difference that is no jump.
const TOLERANCE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Clocks(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    latest: Option<Reading>,
    pause: Option<Instant>,
}

/// A time of the store, which it read at some time between its call and its answer.
#[derive(Debug, Clone, Copy)]
struct Reading {
    store: SystemTime,
    called: Instant,
    answered: Instant,
}

impl Clocks {
    /// Returns the rest of the time in which the node neither sweeps nor claims.
    pub(crate) fn pause(&self) -> Option<Duration> {
        let pause = self.state().pause?;
        let left = pause.saturating_duration_since(Instant::now());
        Some(left).filter(|left| !left.is_zero())
    }

    /// Returns the latest time that the store's clock shows now unless it has jumped; `None` if
    /// nothing is known of it.
    pub(crate) fn latest(&self) -> Option<SystemTime> {
        let Reading { store, called, .. } = self.state().latest?;
        store.checked_add(called.elapsed() + TOLERANCE)
    }

    /// Notes the store's time in an answer that arrives now. If it has jumped since the previous one,
    /// the node pauses for a lease.
    pub(crate) fn note(&self, store: SystemTime, called: Instant, lease: Duration) {
        let answered = Instant::now();
        let reading = Reading {
            store,
            called,
            answered,
        };
        let mut state = self.state();
        let latest = state.latest.replace(reading);
        let Some(jump) = latest.and_then(|latest| latest.jump_to(&reading)) else {
            return;
        };
        state.pause = Some(after(answered, lease));
        drop(state);
        tracing::warn!(
            "the clock of the job store has jumped {jump} against that of this node: to let all \
             nodes renew their leases, it sweeps and claims nothing for {lease:?}"
        );
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading {
    /// Returns the jump of the store's clock between two readings, beyond what passed here.
    fn jump_to(&self, later: &Self) -> Option<Jump> {
        let least = later.called.saturating_duration_since(self.answered);
        let most = later.answered.saturating_duration_since(self.called);
        // Of two calls at the same time, the one that is answered later may have read it earlier.
        let overlap = self.answered.saturating_duration_since(later.called);
        // Set back, it may show less than no time at all.
        let (passed, set_back) = match later.store.duration_since(self.store) {
            Ok(passed) => (passed, Duration::ZERO),
            Err(error) => (Duration::ZERO, error.duration()),
        };
        let forward = passed.saturating_sub(most);
        let back = least.saturating_sub(passed) + set_back.saturating_sub(overlap);
        if forward > TOLERANCE {
            Some(Jump::Forward(forward))
        } else if back > TOLERANCE {
            Some(Jump::Back(back))
        } else {
            None
        }
    }
}

#[derive(Debug)]
enum Jump {
    Forward(Duration),
    Back(Duration),
}

impl fmt::Display for Jump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forward(by) => write!(f, "forward by {by:?}"),
            Self::Back(by) => write!(f, "back by {by:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn s15_answers_that_overtake_each_other_are_no_jump() {
        let (clocks, lease) = (Clocks::default(), 30 * SECOND);
        let (day, begun) = (SystemTime::UNIX_EPOCH + 1000 * lease, Instant::now());
        advance(4 * SECOND).await;
        clocks.note(day + 4 * SECOND, begun + 4 * SECOND, lease);
        // A claim that read the clock when it was called.
        clocks.note(day, begun, lease);
        assert_eq!(clocks.pause(), None);
        clocks.note(day - 6 * SECOND, begun + SECOND, lease);
        assert_eq!(clocks.pause(), Some(lease));
    }
}

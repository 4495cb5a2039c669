//! The repetition of a call whose outcome is unknown, since the store was unreachable.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    node::shutdown::Shutdown,
    signal::Signal,
    time::{after, later},
};

/// The first pause. Each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(5);

/// The longest pause of a call for which a shutdown waits.
const LONGEST_TO_RELEASE: Duration = Duration::from_secs(2);

/// The time for which a write is repeated if leases do not expire.
const MINUTE: Duration = Duration::from_secs(60);

/// The time for which a call is repeated.
pub(crate) struct Patience<'a> {
    until: Instant,
    pause: Duration,
    longest: Duration,
    /// The signal that ends it.
    given_up: Option<&'a Signal>,
}

impl<'a> Patience<'a> {
    /// Creates a patience of this time. A shutdown that gives up waits only for the call in flight, or
    /// for a last one.
    pub(crate) fn new(time: Duration, shutdown: &'a Shutdown) -> Self {
        Self {
            until: later(time),
            pause: PAUSE,
            longest: LONGEST,
            given_up: Some(&shutdown.given_up),
        }
    }

    /// Creates the patience of a write: until another worker could have the job, if leases expire.
    pub(crate) fn to_write(lease: Option<Duration>, shutdown: &'a Shutdown) -> Self {
        Self::new(lease.unwrap_or(MINUTE), shutdown)
    }

    /// Creates the patience of a release that was asked for then. A shutdown waits for it, if leases
    /// expire.
    pub(super) fn to_release(
        since: Instant,
        lease: Option<Duration>,
        shutdown: &'a Shutdown,
    ) -> Self {
        let to_write = Self::to_write(lease, shutdown);
        match lease {
            Some(lease) => Self {
                until: after(since, lease),
                longest: LONGEST_TO_RELEASE,
                given_up: None,
                ..to_write
            },
            None => to_write,
        }
    }

    /// Returns whether the call may be repeated after a pause.
    pub(crate) fn lasts(&self) -> bool {
        Instant::now() + self.pause < self.until && !self.given_up.is_some_and(Signal::is_set)
    }

    pub(crate) async fn pause(&mut self) {
        let pause = sleep(self.pause);
        match self.given_up {
            Some(given_up) => drop(given_up.or(pause).await),
            None => pause.await,
        }
        self.pause = (self.pause * 2).min(self.longest);
    }
}

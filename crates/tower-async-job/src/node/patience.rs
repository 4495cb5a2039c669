//! The repetition of a call whose outcome is unknown, since the store was unreachable.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{node::shutdown::Shutdown, time::later};

/// The first pause. Each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(100);

/// The time for which a call is repeated. A shutdown that gives up waits only for the call in flight.
pub(crate) struct Patience<'a> {
    until: Instant,
    pause: Duration,
    shutdown: &'a Shutdown,
}

impl<'a> Patience<'a> {
    pub(crate) fn new(time: Duration, shutdown: &'a Shutdown) -> Self {
        Self {
            until: later(time),
            pause: PAUSE,
            shutdown,
        }
    }

    /// Returns whether the call may be repeated after a pause.
    pub(crate) fn lasts(&self) -> bool {
        Instant::now() + self.pause < self.until && !self.shutdown.given_up.is_set()
    }

    pub(crate) async fn pause(&mut self) {
        self.shutdown.given_up.or(sleep(self.pause)).await;
        self.pause *= 2;
    }
}

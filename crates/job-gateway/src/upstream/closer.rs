//! The end of connections that are idle for too long.

use std::sync::{Arc, Weak};

use tokio::time::{Instant, sleep_until};

/// A set of connections, some of them idle.
pub(super) trait Idle: Send + Sync {
    /// Closes those that have been idle for too long, and returns the time at which the next one will
    /// have been. `None` ends the task that calls it.
    fn close_overdue(&self, now: Instant) -> Option<Instant>;
}

/// Starts the task that closes connections, until none is idle or the set is dropped.
pub(super) fn spawn<S: Idle + 'static>(connections: &Arc<S>) {
    let connections: Weak<S> = Arc::downgrade(connections);
    tokio::spawn(async move {
        while let Some(next) = close_overdue(&connections) {
            sleep_until(next).await;
        }
    });
}

fn close_overdue<S: Idle>(connections: &Weak<S>) -> Option<Instant> {
    connections.upgrade()?.close_overdue(Instant::now())
}

//! One task with one timer for the deadlines of all jobs in this process.

use std::sync::{Arc, Weak};

use tokio::{
    runtime::Handle,
    task::yield_now,
    time::{Instant, timeout_at},
};

use crate::node::{registry::NextDeadline, state::Node};

/// Starts the task that wakes jobs at their deadlines. It ends when there are no deadlines left.
pub(crate) fn watch_deadlines(node: &Arc<Node>) {
    let watcher = Watcher(Arc::downgrade(node));
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(watch(watcher));
    }
}

/// The task that watches the deadlines. However it ends, another can start.
struct Watcher(Weak<Node>);

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(node) = self.0.upgrade() {
            node.registry.unwatched();
        }
    }
}

async fn watch(mut watcher: Watcher) {
    loop {
        let Some(node) = watcher.0.upgrade() else {
            return;
        };
        let changed = node.registry.changed();
        let next = node.registry.wake_due(Instant::now());
        drop(node);
        match next {
            NextDeadline::Now => yield_now().await,
            NextDeadline::At(deadline) => drop(timeout_at(deadline, changed.notified()).await),
            NextDeadline::Never => {
                // Another task may watch by now.
                watcher.0 = Weak::new();
                return;
            }
        }
    }
}

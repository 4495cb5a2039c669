//! The task that has expired records swept.
//!
//! It begins with the first job. On a store that is shared it begins with the first call of any
//! kind, since other nodes may have left jobs there, and ends with the shutdown; otherwise it ends
//! when there is nothing to expire, so that an idle node has no task and no timer. Leases are
//! [renewed](super::renewal) by another task, which no sweep can delay.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    time::{Instant, timeout},
};

use crate::{node::state::Node, observe::metrics, panics};

/// The shortest time for which it sleeps: what is due sooner is done together.
const SHORTEST_REST: Duration = Duration::from_millis(10);

/// How long it sleeps at most while the store holds anything that can expire.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// Makes sure that expired records are swept for as long as there are any. Called whenever a job
/// begins or ends.
pub(crate) fn keep_house(node: &Arc<Node>) {
    if let Ok(runtime) = Handle::try_current()
        && !node.housekeeping.swap(true, Ordering::AcqRel)
    {
        runtime.spawn(keep(Housekeeper(Arc::downgrade(node))));
    }
}

/// As [`keep_house`], at the beginning of every call. Where the store is not shared it does nothing.
#[inline]
pub(crate) fn keep_shared_house(node: &Arc<Node>) {
    if node.is_shared && !node.housekeeping.load(Ordering::Relaxed) {
        keep_house(node);
    }
}

/// One round, after which a panic of the store's has the next one wait.
async fn round(node: &Node) -> Option<Duration> {
    let longest = match node.store.properties().lease {
        Some(lease) => (lease / 3).min(LONGEST_REST),
        None => LONGEST_REST,
    };
    let swept = panics::logged("the job store", Box::pin(sweep(node, longest))).await;
    swept.unwrap_or(Some(longest))
}

/// Has the store swept; returns when that is due again, unless a job ends that is kept for less.
async fn sweep(node: &Node, longest: Duration) -> Option<Duration> {
    let begun = Instant::now();
    node.alarm.reset();
    let next = match timeout(longest, node.store.sweep()).await {
        Ok(Ok(upkeep)) => upkeep.next,
        failed => {
            tracing::warn!(?failed, "sweeping the job store failed");
            Some(longest)
        }
    };
    metrics::stored(&*node.store);
    if !node.is_shared {
        next?;
    }
    // Another node may vanish meanwhile.
    let longest = longest.saturating_sub(begun.elapsed());
    Some(next.unwrap_or(longest).min(longest))
}

/// The task that keeps house. However it ends, another may begin.
struct Housekeeper(Weak<Node>);

impl Drop for Housekeeper {
    fn drop(&mut self) {
        if let Some(node) = self.0.upgrade() {
            node.housekeeping.store(false, Ordering::Release);
        }
    }
}

async fn keep(mut keeper: Housekeeper) {
    loop {
        let Some(node) = keeper.0.upgrade() else {
            return;
        };
        if node.is_shared && node.shutdown.over.is_set() {
            // Others keep house; and no call is to begin this once more.
            keeper.0 = Weak::new();
            return;
        }
        let next = match round(&node).await {
            Some(next) => next,
            None => {
                node.housekeeping.store(false, Ordering::Release);
                // A job that began after the round saw the flag still set, so look again.
                match round(&node).await {
                    Some(next) if !node.housekeeping.swap(true, Ordering::AcqRel) => next,
                    _ => {
                        // The flag may be another task's by now.
                        keeper.0 = Weak::new();
                        return;
                    }
                }
            }
        };
        let alarm = node.alarm.clone();
        drop(node);
        alarm.within(next);
        alarm.sleep(Instant::now() + SHORTEST_REST).await;
    }
}

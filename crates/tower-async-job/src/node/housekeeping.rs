//! The task that sweeps expired records.
//!
//! On a store that outlives the process it starts with the first call of any kind, since other
//! processes may have left jobs there. On a shared store it ends with the shutdown. Otherwise it starts
//! again with each job and ends when nothing is left to expire, so that an idle node has no task and no
//! timer. Another task [renews leases](super::renewal), so that no sweep delays a renewal.

use std::{
    mem,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    time::{Instant, timeout},
};

use tower_async_job_core::{Call, StoreError, SweepQuery};

use crate::{
    node::{ends, state::Node},
    observe::with_sources,
    panics,
};

/// The shortest rest: changes that are due sooner are made together.
const SHORTEST_REST: Duration = Duration::from_millis(10);

/// The longest rest while the store holds anything that can expire.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// Ensures that expired records are swept while there are any. Called when a job begins or ends.
pub(crate) fn keep_house(node: &Arc<Node>) {
    if !node.housekeeping.load(Ordering::Acquire)
        && let Ok(runtime) = Handle::try_current()
        && !node.housekeeping.swap(true, Ordering::AcqRel)
    {
        runtime.spawn(keep(Housekeeper(Arc::downgrade(node))));
    }
}

/// Calls [`keep_house`] at the start of a call, if the store may hold jobs of other processes.
#[inline]
pub(crate) fn keep_shared_house(node: &Arc<Node>) {
    if node.has_orphans.load(Ordering::Relaxed) && !node.housekeeping.load(Ordering::Relaxed) {
        keep_house(node);
    }
}

/// Runs one round. A panic of the store ends the round, and not the task.
async fn round(node: &Node) -> Option<Duration> {
    let longest = match node.store.properties().lease {
        Some(lease) => (lease / 3).min(LONGEST_REST),
        None => LONGEST_REST,
    };
    let swept = panics::logged("the job store", Box::pin(sweep(node, longest))).await;
    swept.unwrap_or(Some(longest))
}

/// Sweeps the store, unless its clock has jumped. Returns the time until the next sweep, which may be
/// sooner.
async fn sweep(node: &Node, longest: Duration) -> Option<Duration> {
    let begun = Instant::now();
    node.alarm.reset();
    if let Some(pause) = node.clocks.pause() {
        return Some(pause);
    }
    // If the clock has jumped forward, leases only seem to have expired.
    let query = SweepQuery::default().with_not_after(node.clocks.latest());
    let next = match timeout(longest, node.store.sweep(&query)).await {
        Ok(Ok(mut upkeep)) => {
            if let Some(lease) = node.store.properties().lease {
                node.clocks.note(upkeep.now, begun, lease);
            }
            if !query.expects(upkeep.now) {
                // Without a jump, the call took long.
                return Some(node.clocks.pause().unwrap_or_default());
            }
            let (next, ended) = (upkeep.next, mem::take(&mut upkeep.ended));
            node.has_orphans
                .fetch_and(node.is_shared, Ordering::Relaxed);
            node.swept(upkeep);
            ends::log_all(node, &ended).await;
            next
        }
        Ok(Err(error)) => {
            tracing::warn!(
                error = with_sources(&error),
                "the job store could not be swept"
            );
            Some(longest)
        }
        Err(late) => {
            tracing::warn!("the job store could not be swept within {longest:?}");
            // An idle node makes no other calls.
            node.gave_up(Call::Sweep, begun, &StoreError::unavailable(late));
            Some(longest)
        }
    };
    node.meter.stored(&*node.store);
    if !node.is_shared {
        next?;
    }
    // Another node may crash meanwhile.
    let longest = longest.saturating_sub(begun.elapsed());
    Some(next.unwrap_or(longest).min(longest))
}

/// The housekeeping task. However it ends, another can start.
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
            // The flag stays set, so that no later call starts it again.
            keeper.0 = Weak::new();
            return;
        }
        let next = match round(&node).await {
            Some(next) => next,
            None => {
                node.housekeeping.store(false, Ordering::Release);
                // A job that began after the round saw the flag still set, so check again.
                match round(&node).await {
                    Some(next) if !node.housekeeping.swap(true, Ordering::AcqRel) => next,
                    _ => {
                        // Another task may have set the flag by now.
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

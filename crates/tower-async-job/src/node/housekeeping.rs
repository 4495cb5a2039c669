//! The task that renews the leases of running jobs and has expired records swept.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    time::{Instant, timeout, timeout_at},
};

use crate::time::later;
use crate::{node::state::Node, observe::metrics, panics};

/// The shortest time for which it sleeps: what is due sooner is done together.
const SHORTEST_REST: Duration = Duration::from_millis(10);

/// How long it sleeps at most while the store holds anything that can expire.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// Makes sure that leases are renewed and expired records swept for as long as there are any.
/// Called whenever a job begins or ends; with nothing to do there is no task and no timer.
pub(crate) fn keep_house(node: &Arc<Node>) {
    if let Ok(runtime) = Handle::try_current()
        && !node.housekeeping.swap(true, Ordering::AcqRel)
    {
        let keeping = keep(Housekeeper(Arc::downgrade(node)));
        runtime.spawn(panics::logged("the job store", Box::pin(keeping)));
    }
}

/// One round; returns when the next one is due, unless a job ends that is kept for less.
async fn round(node: &Node) -> Option<Duration> {
    let longest = match node.store.properties().lease {
        Some(lease) => (lease / 3).min(LONGEST_REST),
        None => LONGEST_REST,
    };
    let begun = Instant::now();
    node.alarm.reset();
    let renews = renew_leases(node).await;
    let next = match timeout(longest, node.store.sweep()).await {
        Ok(Ok(upkeep)) => upkeep.next,
        failed => {
            tracing::warn!(?failed, "sweeping the job store failed");
            Some(longest)
        }
    };
    metrics::stored(&*node.store);
    if !renews {
        next?;
    }
    // A job that begins meanwhile finds this task asleep, so it sleeps for no longer than
    // that job's lease can wait.
    let longest = longest.saturating_sub(begun.elapsed());
    Some(next.unwrap_or(longest).min(longest))
}

/// Renews the leases of all jobs that run here, and cancels those that are lost or would be
/// over before the next round. Says whether there are any.
async fn renew_leases(node: &Node) -> bool {
    let Some(lease_duration) = node.store.properties().lease else {
        return false;
    };
    let interval = lease_duration / 3;
    let until = later(interval);
    let mut last = None;
    loop {
        let leases = node.registry.leases_after(last);
        let Some(lease) = leases.last() else {
            return last.is_some();
        };
        last = Some(lease.id);
        let asked = Instant::now();
        match timeout_at(until, node.store.renew(&leases)).await {
            Ok(Ok(renewals)) => {
                for (lease, renewal) in leases.iter().zip(renewals) {
                    if renewal.is_held() {
                        node.registry.renewed(&lease.id, asked);
                    } else {
                        node.registry.cancel(&lease.id);
                    }
                }
            }
            failed => {
                tracing::warn!(?failed, "renewing the leases of running jobs failed");
                // Another worker may have them before the next round is over.
                let age = lease_duration.saturating_sub(interval + interval / 2);
                node.registry.cancel_unrenewed(&leases, age);
            }
        }
    }
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

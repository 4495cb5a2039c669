//! The task that renews the leases of the jobs in this process.
//!
//! It exists while this process holds leases. It renews all of them three times per lease duration,
//! and waits for nothing else, so that no sweep delays a renewal. If the store is too slow for that,
//! each round continues where the last one was cut off, so that all leases have the same chance. The
//! [registry](super::registry) stops runs whose leases were not renewed in time.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};
use tower_async_job_core::{JobId, Lease, StoreError};

use crate::{node::state::Node, observe::with_sources, panics, time::after};

/// Ensures that leases are renewed while there are any. Called when a run begins.
pub(crate) fn keep_leases(node: &Arc<Node>) {
    if let Some(lease) = node.store.properties().lease
        && let Ok(runtime) = Handle::try_current()
        && !node.renewing.swap(true, Ordering::AcqRel)
    {
        runtime.spawn(keep(Renewer(Arc::downgrade(node)), lease));
    }
}

/// Renews leases, and applies the answer of the store to their runs.
pub(crate) async fn renew(node: &Node, leases: &[Lease]) -> Result<(), StoreError> {
    let sent = Instant::now();
    let renewals = node.store.renew(leases).await?;
    node.meter.renewed(&renewals);
    for (lease, renewal) in leases.iter().zip(renewals) {
        node.registry.renewed(lease, renewal, sent);
    }
    Ok(())
}

/// Renews all leases once, from those after the last of the round before. Returns whether it succeeded
/// in time.
async fn round(node: &Node, last: &mut Option<JobId>, until: Instant) -> bool {
    let first = *last;
    let (mut is_first, mut is_second_half, mut is_done) = (true, false, true);
    loop {
        let mut leases = node.registry.leases_after(*last);
        if is_second_half {
            leases.retain(|lease| Some(lease.id) <= first);
        }
        let Some(lease) = leases.last() else {
            if is_second_half || first.is_none() {
                return is_done;
            }
            is_second_half = true;
            *last = None;
            continue;
        };
        // Noted before the call, so that the next round begins after a batch that panics.
        let before = last.replace(lease.id);
        let renewed = timeout_at(until, renew(node, &leases)).await;
        // A batch that had less than the whole time is the first of the next round.
        if renewed.is_err() && !is_first {
            *last = before;
        }
        is_first = false;
        match renewed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                is_done = false;
                tracing::warn!(
                    error = with_sources(&error),
                    "the leases of running jobs could not be renewed"
                );
            }
            Err(_) => {
                is_done = false;
                tracing::warn!("the leases of running jobs could not be renewed in time");
            }
        }
        if Instant::now() >= until {
            return false;
        }
    }
}

/// The renewing task. However it ends, another can start.
struct Renewer(Weak<Node>);

impl Drop for Renewer {
    fn drop(&mut self) {
        if let Some(node) = self.0.upgrade() {
            node.renewing.store(false, Ordering::Release);
        }
    }
}

async fn keep(mut renewer: Renewer, lease: Duration) {
    // The first of them has just been given.
    let mut next = after(Instant::now(), lease / 3);
    let mut last = None;
    loop {
        let Some(now) = renewer.0.upgrade().map(|node| node.renew_now.clone()) else {
            return;
        };
        let _ = timeout_at(next, now.notified()).await;
        let Some(node) = renewer.0.upgrade() else {
            return;
        };
        if !node.registry.has_leases() {
            node.renewing.store(false, Ordering::Release);
            // A run that began meanwhile saw the flag still set, so check again.
            if !node.registry.has_leases() || node.renewing.swap(true, Ordering::AcqRel) {
                // Another task may have set the flag by now.
                renewer.0 = Weak::new();
                return;
            }
        }
        let begun = Instant::now();
        let round = Box::pin(round(&node, &mut last, after(begun, lease / 3)));
        let renewed = panics::logged("the job store", round).await;
        // A failed renewal is repeated soon, so that one failure stops no run.
        let is_done = matches!(renewed, Ok(true));
        next = after(begun, if is_done { lease / 3 } else { lease / 10 });
    }
}

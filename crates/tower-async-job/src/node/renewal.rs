//! The task that renews the leases of the jobs in this process.
//!
//! It exists while this process holds leases. It renews all of them three times per lease duration,
//! and waits for nothing else, so that no sweep delays a renewal. The [registry](super::registry)
//! stops runs whose leases were not renewed in time.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};
use tower_async_job_core::{Lease, StoreError};

use crate::{node::state::Node, panics, time::after};

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
    for (lease, renewal) in leases.iter().zip(renewals) {
        node.registry.renewed(lease, renewal, sent);
    }
    Ok(())
}

/// Renews all leases; returns whether it succeeded.
async fn round(node: &Node, until: Instant) -> bool {
    let mut is_done = true;
    let mut last = None;
    loop {
        let leases = node.registry.leases_after(last);
        let Some(lease) = leases.last() else {
            return is_done;
        };
        last = Some(lease.id);
        match timeout_at(until, renew(node, &leases)).await {
            Ok(Ok(())) => {}
            failed => {
                is_done = false;
                tracing::warn!(?failed, "renewing the leases of running jobs failed");
            }
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
        let round = Box::pin(round(&node, after(begun, lease / 3)));
        let renewed = panics::logged("the job store", round).await;
        // A failed renewal is repeated soon, so that one failure stops no run.
        let is_done = matches!(renewed, Ok(true));
        next = after(begun, if is_done { lease / 3 } else { lease / 10 });
    }
}

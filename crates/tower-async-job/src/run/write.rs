//! Writes to the store on which a job's end depends.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tower_async_job_core::{Lease, StoreError, StoreFuture};

use crate::{node::state::Node, time::later};

/// The time for which a write is repeated if the store is unreachable and leases do not expire.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the time for which a write is repeated.
pub(crate) fn patience(node: &Node) -> Duration {
    node.store.properties().lease.unwrap_or(PATIENCE)
}

/// Writes in the name of a lease. While the store is unreachable, the write is repeated until
/// another worker could have the job; unless `full_ends` is set, also while the store is full.
/// `what` is the subject of its log.
pub(crate) async fn write<'a, T>(
    node: &'a Node,
    lease: &Lease,
    what: &str,
    full_ends: bool,
    mut call: impl FnMut() -> StoreFuture<'a, T>,
) -> Result<T, StoreError> {
    let give_up = later(patience(node));
    let mut delay = Duration::from_millis(50);
    loop {
        let error = match call().await {
            Ok(written) => return Ok(written),
            Err(error) => error,
        };
        if error.is_lease_lost() || full_ends && error.is_full() {
            return Err(error);
        }
        tracing::warn!(%error, job = ?lease.id, "{what} could not be stored");
        if Instant::now() + delay > give_up {
            tracing::error!(job = ?lease.id, "{what} is given up");
            return Err(error);
        }
        sleep(delay).await;
        delay = (delay * 2).min(Duration::from_secs(5));
    }
}

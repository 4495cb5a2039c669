//! Writes to the store on which a job's end depends.

use tower_async_job_core::{JobHandle, StoreError, StoreFuture};

use crate::{
    node::{patience::Patience, state::Node},
    observe::with_sources,
};

/// Returns the patience of a write.
pub(crate) fn patience(node: &Node) -> Patience<'_> {
    Patience::to_write(node.store.properties().lease, &node.shutdown)
}

/// Writes for a job that runs. While the store is unreachable, the write is repeated; unless
/// `full_ends` is set, also while the store is full. `what` is the subject of its log.
pub(crate) async fn write<'a, T>(
    patience: &mut Patience<'_>,
    handle: JobHandle,
    what: &str,
    full_ends: bool,
    mut call: impl FnMut() -> StoreFuture<'a, T>,
) -> Result<T, StoreError> {
    loop {
        let error = match call().await {
            Ok(written) => return Ok(written),
            Err(error) => error,
        };
        if error.is_lease_lost() || full_ends && error.is_full() {
            return Err(error);
        }
        tracing::warn!(error = with_sources(&error), %handle, "{what} could not be stored");
        if !patience.lasts() {
            tracing::error!(%handle, "{what} is given up");
            return Err(error);
        }
        patience.pause().await;
    }
}

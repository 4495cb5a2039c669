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

/// Writes for a job that runs, and repeats the write until it succeeds, the lease is lost, or it fails
/// with an error that `ends` it. `what` is the subject of its log.
pub(crate) async fn write<'a, T>(
    patience: &mut Patience<'_>,
    handle: JobHandle,
    what: &str,
    ends: impl Fn(&StoreError) -> bool,
    mut call: impl FnMut() -> StoreFuture<'a, T>,
) -> Result<T, StoreError> {
    loop {
        let error = match call().await {
            Ok(written) => return Ok(written),
            Err(error) => error,
        };
        if error.is_lease_lost()
            || ends(&error)
            || !may_repeat(patience, handle, what, &error).await
        {
            return Err(error);
        }
    }
}

/// Pauses after a write has failed with this error. Returns whether there is time to repeat it.
pub(crate) async fn may_repeat(
    patience: &mut Patience<'_>,
    handle: JobHandle,
    what: &str,
    error: &StoreError,
) -> bool {
    tracing::warn!(error = with_sources(error), %handle, "{what} could not be stored");
    if !patience.lasts() {
        tracing::error!(%handle, "{what} is given up");
        return false;
    }
    patience.pause().await;
    true
}

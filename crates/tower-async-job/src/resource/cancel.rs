//! Cancellation, by a client or an operator.

use http_polling::JobState;
use tower_async_job_core::{Cancellation, JobId, StoreError};

use crate::node::state::Node;

/// Cancels a pending job, in this process and in the store.
pub(crate) async fn cancel_pending(node: &Node, id: &JobId) -> Result<Cancellation, StoreError> {
    let cancellation = node.store.cancel(id).await?;
    if matches!(cancellation, Cancellation::Cancelled { .. }) {
        node.meter.ended(JobState::Cancelled);
        node.registry.cancel(id);
        node.sweep_after_end();
    }
    Ok(cancellation)
}

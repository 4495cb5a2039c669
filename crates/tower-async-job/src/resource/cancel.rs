//! Cancellation, by a client or an operator.

use http_polling::JobState;
use tower_async_job_core::{Cancellation, JobId, JobRecord, StoreError};

use crate::node::{ends, state::Node};

/// Cancels a pending job, in this process and in the store. Returns whether it has a run here too,
/// whose end is logged by its span.
pub(crate) async fn cancel_pending(
    node: &Node,
    id: &JobId,
) -> Result<(Cancellation, bool), StoreError> {
    let mut runs = false;
    let cancellation = node.store.cancel(id).await?;
    if matches!(cancellation, Cancellation::Cancelled { .. }) {
        node.meter.ended(JobState::Cancelled);
        runs = node.registry.cancel(id);
        node.sweep_after_end();
    }
    Ok((cancellation, runs))
}

/// Logs the end of a job that was cancelled before a run has begun anywhere.
pub(crate) fn log_unrun(record: &JobRecord, runs: bool) {
    if !runs && record.started.is_none() {
        ends::log(record);
    }
}

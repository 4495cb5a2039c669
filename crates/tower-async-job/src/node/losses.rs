//! The results that are lost with the process although their clients would still fetch them.

use std::time::Duration;

use tokio::time::timeout;
use tower_async_job_core::Detail;

use crate::{node::state::Node, panics};

/// The number of losses that are logged individually.
const LOGGED: usize = 100;

/// The time spent on finding out details to log.
const LOG_PATIENCE: Duration = Duration::from_secs(1);

/// Logs the results that are lost with the process although their clients would still fetch them.
pub(crate) async fn log(node: &Node) {
    if node.store.properties().lease.is_some() {
        // The store outlives the process.
        return;
    }
    node.expected.next().await;
    let jobs = node.expected.jobs();
    let each = Box::pin(async {
        for id in jobs.iter().take(LOGGED) {
            if let Ok(Some(record)) = node.read(id, Detail::Status).await {
                let (handle, state) = (record.handle, record.state);
                tracing::warn!(
                    %handle,
                    %state,
                    "a job is lost with the shutdown: its client was to come later"
                );
            }
        }
    });
    let _ = timeout(LOG_PATIENCE, panics::logged("the job store", each)).await;
    if let Some(more) = jobs.len().checked_sub(LOGGED + 1) {
        tracing::warn!(jobs = more + 1, "more jobs are lost with the shutdown");
    }
}

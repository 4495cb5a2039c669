//! The ends of jobs that no run of this process has brought about, in the log. The span of a run shows
//! that of its job.

use std::time::Duration;

use tokio::time::timeout;
use tower_async_job_core::{Detail, JobId, JobRecord};
use tracing::Level;

use crate::{node::state::Node, panics};

/// The target of these events.
const TARGET: &str = "tower_async_job::job";

/// The number of ends after one sweep that are logged individually.
const LOGGED: usize = 100;

/// The time spent on finding out details to log.
const LOG_PATIENCE: Duration = Duration::from_secs(1);

/// Logs the end of a job. The event has the name and the fields of a run's span.
pub(crate) fn log(record: &JobRecord) {
    tracing::info!(
        target: TARGET,
        handle = %record.handle,
        route = &*record.route,
        attempt = record.attempt,
        state = record.state.as_str(),
        "job"
    );
}

/// Logs the ends of jobs that the store has ended: their leases lapsed, or their deadlines passed.
pub(crate) async fn log_all(node: &Node, ended: &[JobId]) {
    if ended.is_empty() || !tracing::enabled!(target: TARGET, Level::INFO) {
        return;
    }
    let each = Box::pin(async {
        for id in ended.iter().take(LOGGED) {
            if let Ok(Some(record)) = node.store.read(id, Detail::Status).await {
                log(&record);
            }
        }
    });
    let _ = timeout(LOG_PATIENCE, panics::logged("the job store", each)).await;
    if let Some(more) = ended.len().checked_sub(LOGGED + 1) {
        tracing::info!(jobs = more + 1, "more jobs have ended without a run");
    }
}

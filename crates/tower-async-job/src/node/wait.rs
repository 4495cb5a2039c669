//! The wait for the end of a job.

use tokio::time::{Instant, timeout_at};
use tower_async_job_core::{Detail, JobId, JobRecord, StoreError};

use crate::node::state::Node;

/// Returns the job once it has ended, the time is up, or the node has shut down. Cancel safe.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` keeps its arguments twice, and there may be very many held polls"
)]
pub(crate) fn record_until<'a>(
    node: &'a Node,
    id: &'a JobId,
    until: Instant,
) -> impl Future<Output = Result<Option<JobRecord>, StoreError>> + Send + 'a {
    async move {
        loop {
            let ended = node.store.subscribe(id);
            {
                let record = node.read(id, Detail::Full).await?;
                let is_pending = record
                    .as_ref()
                    .is_some_and(|record| record.state.is_pending());
                if !is_pending || Instant::now() >= until || node.shutdown.over.is_set() {
                    return Ok(record);
                }
            }
            let _ = timeout_at(until, node.shutdown.over.or(ended)).await;
        }
    }
}

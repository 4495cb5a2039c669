//! The wait for the end of a job.

use tokio::{
    task::coop::consume_budget,
    time::{Instant, timeout_at},
};
use tower_async_job_core::{Detail, JobId, JobRecord, StoreError, Subscription};

use crate::node::state::Node;

/// Returns the job once it has ended, the time is up, or the node has shut down. Cancel safe.
///
/// It waits before its first read if a subscription is given, by which the caller has seen the job
/// pending. Each further one is registered before the next read, so that no end is missed.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` keeps its arguments twice, and there may be very many held polls"
)]
pub(crate) fn record_until<'a>(
    node: &'a Node,
    id: &'a JobId,
    until: Instant,
    ended: &'a mut Option<Subscription>,
) -> impl Future<Output = Result<Option<JobRecord>, StoreError>> + Send + 'a {
    async move {
        loop {
            if let Some(ended) = ended {
                let _ = timeout_at(until, node.shutdown.over.or(ended)).await;
            }
            let is_over = Instant::now() >= until || node.shutdown.over.is_set();
            *ended = (!is_over).then(|| node.store.subscribe(id));
            {
                let record = node.read(id, Detail::Full).await?;
                let is_pending = record
                    .as_ref()
                    .is_some_and(|record| record.state.is_pending());
                if !is_pending || is_over {
                    return Ok(record);
                }
            }
            // A subscription may resolve early, and a read may not wait.
            consume_budget().await;
        }
    }
}

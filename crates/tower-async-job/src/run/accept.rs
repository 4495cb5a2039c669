//! The acceptance of jobs: stored first, then run.

use std::sync::Arc;

use bytes::Bytes;
use http_body::Body;
use tower::BoxError;
use tower_async_job_core::{Created, Lease, NewJob, StoreError};

use crate::{
    context::handler::HandlerContext,
    node::{patience::Patience, registration::discard, state::Node},
    run::{
        attempt::{Run, Terms},
        work::BoxWork,
    },
};

/// Stores a job. While the outcome is unknown, the call is repeated for a third of a lease. A job that
/// may have been stored before the store refuses it is discarded.
pub(crate) async fn create(node: &Arc<Node>, job: NewJob) -> Result<Created, StoreError> {
    let Some(lease) = node.store.properties().lease else {
        return node.store.create(job).await;
    };
    let mut patience = Patience::new(lease / 3, &node.shutdown);
    let mut is_unknown = false;
    loop {
        match node.store.create(job.clone()).await {
            Err(error) if error.is_unavailable() && patience.lasts() => {
                tracing::warn!(%error, job = ?job.id, "a job could not be stored yet");
                patience.pause().await;
                is_unknown = true;
            }
            Err(error) if is_unknown && !error.is_unavailable() => {
                let (node, lease) = (node.clone(), job.first_lease());
                let tasks = node.tasks.clone();
                tasks.spawn(async move { discard(&node, &lease).await });
                return Err(error);
            }
            created => return created,
        }
    }
}

/// Begins the run of a stored job, accepted now.
pub(crate) fn accept<R, E>(
    node: &Arc<Node>,
    lease: Lease,
    work: BoxWork<R, E>,
    context: Option<HandlerContext>,
    terms: Terms<'_>,
) -> Run<R, E>
where
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
    E: Into<BoxError> + Send + 'static,
{
    let context = context.unwrap_or_else(|| HandlerContext::new(1));
    Run::new(node.clone(), lease, work, context, terms)
}

/// Returns whether a job was stored, or may have been.
pub(crate) fn may_be_stored(created: &Result<Created, StoreError>) -> bool {
    match created {
        Ok(created) => matches!(created, Created::New { .. }),
        Err(error) => error.is_unavailable(),
    }
}

//! The job of a submission.

use std::sync::Arc;

use tokio::time::Instant;
use tower_async_job_core::{IdempotencyKey, NewJob, Start};

use crate::{
    context::job::JobContext,
    node::front::Front,
    request::submission::Submission,
    run::{attempt::Terms, restore::Creation},
    time::after,
};

/// Returns the job to be stored for a submission.
pub(crate) fn new_job(
    front: &Front,
    submission: &Submission,
    context: Option<&JobContext>,
    key: Option<IdempotencyKey>,
    queued: bool,
) -> NewJob {
    let principal = submission.principal.as_ref();
    let mut job = NewJob::new(front.node.store.new_id(key.as_ref(), principal));
    job.idempotency = key;
    if let Some(context) = context {
        job.handle = context.handle_or(job.handle);
    }
    job.route = submission.route(&front.route_names);
    job.protocol = submission.asked.protocol;
    job.principal = submission.principal.clone();
    let policy = submission.policy(&front.config);
    job.pending_status = policy.pending_status;
    if queued {
        job.start = Start::Queued;
    }
    job.deadline = submission.deadline(&front.config);
    job.retention = policy.retention;
    if submission.policy.is_some() {
        front.node.keeps_for(job.retention.result);
    }
    job.result_room = front.node.sizes.of(&job.route);
    if submission.keeps_path() {
        // Stored until there is a result, so it counts like one.
        job.result_room = job.result_room.saturating_add(submission.path.len());
    }
    job
}

/// Returns the terms on which a stored job runs, accepted now.
pub(crate) fn terms<'a>(
    front: &Front,
    submission: &'a Submission,
    route: Arc<str>,
    creation: Creation,
    now: Instant,
) -> Terms<'a> {
    Terms {
        route,
        creation,
        label: submission.named_route(),
        principal: submission.principal.as_ref(),
        target: submission.target(),
        accepted: now,
        deadline: after(now, submission.deadline(&front.config)),
        result_limit: (submission.policy.as_ref()).map(|policy| policy.result_limit),
    }
}

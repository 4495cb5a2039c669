//! The job of a submission.

use tokio::time::Instant;
use tower_async_job_core::{NewJob, Start};

use crate::{
    context::job::JobContext, node::front::Front, request::submission::Submission,
    run::attempt::Terms, time::after,
};
use std::sync::Arc;

/// Returns the job to be stored for a submission.
pub(crate) fn new_job(
    front: &Front,
    submission: &Submission,
    context: Option<&JobContext>,
    queued: bool,
) -> NewJob {
    let mut job = NewJob::new(front.node.store.new_id(None, submission.principal.as_ref()));
    if let Some(handle) = context.and_then(JobContext::wanted_handle) {
        job.handle = handle;
    }
    job.route = submission.route(&front.route_names);
    job.protocol = submission.asked.protocol;
    job.principal = submission.principal.clone();
    job.pending_status = submission.policy(&front.config).pending_status;
    if queued {
        job.start = Start::Queued;
    }
    job.deadline = submission.deadline(&front.config);
    job.retention = submission.policy(&front.config).retention;
    front.node.keeps_for(job.retention.result);
    job.result_room = front.node.sizes.of(&job.route);
    if submission.keeps_path() {
        // Kept until there is a result, and so counted with it.
        job.result_room = job.result_room.saturating_add(submission.path.len());
    }
    job
}

/// Returns the terms on which a stored job runs, accepted now. `sent` is a time before it was stored.
pub(crate) fn terms<'a>(
    front: &Front,
    submission: &'a Submission,
    route: Arc<str>,
    sent: Instant,
    now: Instant,
) -> Terms<'a> {
    Terms {
        route,
        sent,
        label: submission.named_route(),
        principal: submission.principal.as_ref(),
        target: submission.target(),
        accepted: now,
        deadline: after(now, submission.deadline(&front.config)),
        result_limit: (submission.policy.as_ref()).map(|policy| policy.result_limit),
        replayable: false,
    }
}

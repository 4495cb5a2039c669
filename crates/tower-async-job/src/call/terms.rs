//! The job of a submission.

use tokio::time::Instant;
use tower_async_job_core::{JobId, NewJob};

use crate::{
    node::front::Front, request::submission::Submission, run::attempt::Terms, time::after,
};
use std::sync::Arc;

/// Returns the job to be stored for a submission.
pub(crate) fn new_job(front: &Front, submission: &Submission, queued: bool) -> NewJob {
    let mut job = NewJob::new(JobId::random());
    job.route = submission.route(&front.route_names);
    job.protocol = submission.asked.protocol;
    job.principal = submission.principal.clone();
    job.running = !queued;
    job.deadline = submission.deadline(&front.config);
    job.retention = front.node.config.retention;
    job.result_room = front.node.sizes.of(&job.route);
    if submission.keeps_path() {
        // Kept until there is a result, and so counted with it.
        job.result_room = job.result_room.saturating_add(submission.path.len());
    }
    job
}

/// Returns the terms on which a stored job runs, accepted now.
pub(crate) fn terms<'a>(
    front: &Front,
    submission: &'a Submission,
    route: Arc<str>,
    now: Instant,
) -> Terms<'a> {
    Terms {
        route,
        label: submission.named_route(),
        principal: submission.principal.as_ref(),
        target: submission.target(),
        accepted: now,
        deadline: after(now, submission.deadline(&front.config)),
    }
}

//! The job of a submission.

use tower_async_job_core::{IdempotencyKey, NewJob, Start};

use crate::{
    context::job::JobContext,
    node::front::Front,
    request::submission::Submission,
    run::terms::{Rerun, Terms},
};

/// Returns the job to be stored for a submission, and the terms on which it then runs.
#[inline(always)]
pub(crate) fn new_job(
    front: &Front,
    submission: &Submission,
    context: Option<&JobContext>,
    key: Option<IdempotencyKey>,
    queued: bool,
) -> (NewJob, Terms) {
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
    let kept = submission.kept.as_ref();
    job.request = kept.map(|kept| kept.request.clone());
    job.max_attempts = policy.max_attempts;
    if submission.is_offered(&front.config) {
        job.start = Start::Offered;
    } else if queued {
        job.start = Start::Queued;
    }
    job.queue_limit = front.config.queue_limit;
    job.deadline = submission.deadline(&front.config);
    job.retention = policy.retention;
    job.notify.clone_from(&submission.notify);
    if submission.policy.is_some() {
        front.node.keeps_for(job.retention.result);
    }
    job.result_room = front.node.sizes.of(&job.route);
    if submission.keeps_path() {
        // Stored until there is a result, so it counts like one.
        job.result_room = job.result_room.saturating_add(submission.path.len());
    }
    let mut terms = Terms::of(&job, &front.node);
    terms.label = submission.named_route().cloned();
    terms.target = submission.target();
    terms.rerun = submission.rerun();
    terms.result_limit = submission.policy.as_ref().map(|policy| policy.result_limit);
    if terms.restorable.is_some() {
        terms.held.room = kept.and_then(|kept| kept.room.clone());
    }
    (job, terms)
}

impl Submission {
    /// Returns the condition on which the job can be run again.
    pub(crate) fn rerun(&self) -> Rerun {
        match (&self.kept, self.asked.replayable) {
            (None, _) => Rerun::Never,
            (Some(_), false) => Rerun::WithCheckpoint,
            (Some(_), true) => Rerun::Always,
        }
    }
}

//! The end of a job, stored.

use http_polling::JobState;
use tower_async_job_core::{End, Lease, Outcome};

use crate::{
    context::job::JobContext,
    node::state::Node,
    run::{recording::Size, unkept, write::write},
};

/// What became of storing the end of a job.
pub(crate) enum Finish {
    Stored(JobState),
    /// It is cancelled, or another worker's.
    NotOurs,
    GivenUp,
}

/// Stores the end of a job, with its last report.
pub(crate) async fn finish(
    node: &Node,
    lease: Lease,
    context: &JobContext,
    mut outcome: Outcome,
) -> Finish {
    let report = context.take_report(node.config.report_limit);
    loop {
        let state = outcome.state();
        let size = Size::of_body(&outcome);
        let stored = write(node, &lease, "the end of a job", size.is_some(), || {
            let mut end = End::from(outcome.clone());
            end.report.clone_from(&report);
            node.store.finish(&lease, end)
        });
        let Err(error) = stored.await else {
            tracing::debug!(job = ?lease.id, %state, "job ended");
            return Finish::Stored(state);
        };
        if error.is_lease_lost() {
            return Finish::NotOurs;
        }
        outcome = match size {
            Some(size) if error.is_full() => unkept::no_room(size, &error, &lease),
            _ => return Finish::GivenUp,
        };
    }
}

//! The end of a job, stored.

use std::time::Duration;

use http_polling::JobState;
use tokio::time::{Instant, sleep};
use tower_async_job_core::{End, Outcome};

use crate::{
    context::job::JobContext,
    node::registration::Registration,
    run::{
        recording::Size,
        restore::{Restorable, restored},
        unkept,
    },
    time::later,
};

/// How long storing an outcome is tried when the store is out of reach and leases do not end.
const FINISH_PATIENCE: Duration = Duration::from_secs(60);

/// What became of storing the end of a job.
pub(crate) enum Finish {
    Stored(JobState),
    /// It is cancelled, or another worker's.
    NotOurs,
    GivenUp,
}

/// Stores the end of a job, with its last report. While the store is out of reach this is tried again, until another
/// worker could have the job.
pub(crate) async fn finish(
    registration: &mut Registration,
    context: &JobContext,
    mut outcome: Outcome,
    terms: Option<&Restorable>,
) -> Finish {
    let node = registration.node().clone();
    let report = context.take_report(node.config.report_limit);
    let patience = node.store.properties().lease.unwrap_or(FINISH_PATIENCE);
    let give_up = later(patience);
    let mut delay = Duration::from_millis(50);
    loop {
        let lease = *registration.lease();
        let state = outcome.state();
        let mut end = End::from(outcome.clone());
        end.report.clone_from(&report);
        let Err(error) = node.store.finish(&lease, end).await else {
            tracing::debug!(job = ?lease.id, %state, "job ended");
            return Finish::Stored(state);
        };
        if error.is_lease_lost() {
            match terms {
                Some(terms) if Instant::now() < give_up && restored(registration, terms).await => {
                    continue;
                }
                _ => return Finish::NotOurs,
            }
        }
        if error.is_full()
            && let Outcome::Done(response) = &outcome
        {
            outcome = unkept::no_room(Size::of_body(response), &error, &lease);
            continue;
        }
        tracing::warn!(%error, job = ?lease.id, "the end of a job could not be stored");
        if Instant::now() + delay > give_up {
            tracing::error!(job = ?lease.id, "the end of a job is given up");
            return Finish::GivenUp;
        }
        sleep(delay).await;
        delay = (delay * 2).min(Duration::from_secs(5));
    }
}

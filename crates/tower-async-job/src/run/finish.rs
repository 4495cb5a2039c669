//! The end of a run: that of its job, stored, or its release.

use std::time::Duration;

use http_polling::JobState;
use tokio::time::{Instant, sleep};
use tower_async_job_core::{End, Lease, Outcome, Release, Released};

use crate::{
    context::job::JobContext,
    node::state::Node,
    run::{recording::Size, unkept},
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
    node: &Node,
    lease: Lease,
    context: &JobContext,
    mut outcome: Outcome,
) -> Finish {
    let report = context.take_report(node.config.report_limit);
    let mut patience = Patience::of(node);
    loop {
        let state = outcome.state();
        let mut end = End::from(outcome.clone());
        end.report.clone_from(&report);
        let Err(error) = node.store.finish(&lease, end).await else {
            tracing::debug!(job = ?lease.id, %state, "job ended");
            return Finish::Stored(state);
        };
        if error.is_lease_lost() {
            return Finish::NotOurs;
        }
        if error.is_full()
            && let Outcome::Done(response) = &outcome
        {
            outcome = unkept::no_room(Size::of_body(response), &error, &lease);
            continue;
        }
        tracing::warn!(%error, job = ?lease.id, "the end of a job could not be stored");
        if !patience.pause().await {
            tracing::error!(job = ?lease.id, "the end of a job is given up");
            return Finish::GivenUp;
        }
    }
}

/// Hands a job back to the store on these terms, with its last report. `None` if the store stays out of
/// reach.
pub(crate) async fn release(
    node: &Node,
    lease: Lease,
    context: &JobContext,
    how: &Release,
) -> Option<Released> {
    let report = context.take_report(node.config.report_limit);
    if let Some(report) = report
        && let Err(error) = node.store.report(&lease, report).await
    {
        tracing::warn!(%error, job = ?lease.id, "a job's last report was not stored");
    }
    let mut patience = Patience::of(node);
    loop {
        match node.store.release(&[lease], how.clone()).await {
            Ok(released) => {
                tracing::debug!(?released, job = ?lease.id, "job handed back");
                return Some(released.first().copied().unwrap_or(Released::Lost));
            }
            Err(error) => {
                tracing::warn!(%error, job = ?lease.id, "a job could not be handed back yet");
            }
        }
        if !patience.pause().await {
            return None;
        }
    }
}

/// The time for which the store is asked again, with growing pauses.
struct Patience {
    until: Instant,
    delay: Duration,
}

impl Patience {
    /// Lasts until another worker could have the job.
    fn of(node: &Node) -> Self {
        let lease = node.store.properties().lease;
        Self {
            until: later(lease.unwrap_or(FINISH_PATIENCE)),
            delay: Duration::from_millis(50),
        }
    }

    /// Waits until the store may be asked again; returns `false` if there is no time left.
    async fn pause(&mut self) -> bool {
        if Instant::now() + self.delay > self.until {
            return false;
        }
        sleep(self.delay).await;
        self.delay = (self.delay * 2).min(Duration::from_secs(5));
        true
    }
}

//! The end of a run: the stored end of its job, or its release.

use tokio::time::Instant;
use tower_async_job_core::{End, Outcome, Release, Released};

use crate::{
    context::job::JobContext,
    node::{registration::Registration, releases},
    run::{
        recording::Size,
        restore::{Restorable, restored},
        unkept,
        write::{patience, write},
    },
    time::later,
};

pub(crate) enum Finish {
    Stored(Outcome),
    /// The job is cancelled, or belongs to another worker.
    NotOurs,
    GivenUp,
}

/// Stores the end of a job, with its last report. If the store has lost the record, it is stored
/// again, unless its result is in chunks there.
pub(crate) async fn finish(
    registration: &mut Registration,
    context: &JobContext,
    mut outcome: Outcome,
    terms: Option<&Restorable>,
) -> Finish {
    let node = registration.node().clone();
    let report = context.take_report(node.config.report_limit);
    let give_up = later(patience(&node));
    loop {
        let lease = *registration.lease();
        let state = outcome.state();
        let size = Size::of_body(&outcome);
        let stored = write(&node, &lease, "the end of a job", size.is_some(), || {
            let mut end = End::from(outcome.clone());
            end.report.clone_from(&report);
            node.store.finish(&lease, end)
        });
        let Err(error) = stored.await else {
            tracing::debug!(job = ?lease.id, %state, "job ended");
            return Finish::Stored(outcome);
        };
        if error.is_lease_lost() {
            let terms = terms.filter(|_| !matches!(outcome, Outcome::Streamed { .. }));
            match terms {
                Some(terms) if Instant::now() < give_up && restored(registration, terms).await => {
                    continue;
                }
                _ => return Finish::NotOurs,
            }
        }
        outcome = match size {
            Some(size) if error.is_full() => unkept::no_room(size, &error, &lease),
            _ => return Finish::GivenUp,
        };
    }
}

/// Releases a job to the store, with its last report. Returns the fate of the job, or `None` if the
/// store is unreachable.
pub(crate) async fn release(
    registration: Registration,
    context: &JobContext,
    how: &Release,
) -> Option<Released> {
    let (node, leases) = (registration.node().clone(), [*registration.lease()]);
    let [lease] = &leases;
    let report = context.take_report(node.config.report_limit);
    if let Some(report) = report
        && let Err(error) = node.store.report(lease, report).await
    {
        tracing::warn!(%error, job = ?lease.id, "a job's last report was not stored");
    }
    let released = write(&node, lease, "the release of a job", false, || {
        node.store.release(&leases, how.clone())
    });
    // Otherwise the registration releases it when it is dropped.
    let released = *released.await.ok()?.first()?;
    registration.end();
    releases::count(released);
    tracing::debug!(?released, job = ?lease.id, "job released");
    Some(released)
}

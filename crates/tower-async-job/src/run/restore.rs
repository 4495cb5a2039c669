//! The repair of a store that has lost the record of a running job, such as after a failover
//! without the latest writes: the run stores its job again, with the next epoch. Only jobs whose
//! node crashed too are lost.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tower_async_job_core::{Created, Lease, NewJob, QueueLimit, Renewal, Start, StoreError};

use crate::{
    context::job::JobContext,
    node::{patience::Patience, registration::Registration, state::Node},
    observe::with_sources,
};

/// A job that can be stored again.
pub(crate) struct Restorable {
    /// The job as it was first sent to the store. If it was claimed, with the epoch and the version
    /// of the claim.
    job: NewJob,
    /// The time at which its run began.
    begun: Option<Instant>,
}

impl Restorable {
    pub(crate) fn new(job: NewJob) -> Self {
        Self { job, begun: None }
    }

    /// Notes the time that the store gave to the creation.
    pub(crate) fn created(&mut self, at: SystemTime) {
        self.job.created = Some(at);
    }

    /// Notes the time at which the run began.
    pub(crate) fn begun(&mut self, at: Instant) {
        self.begun = Some(at);
    }

    /// Returns the job as it was first sent to the store.
    pub(crate) fn job(&self) -> &NewJob {
        &self.job
    }

    /// Returns the job as it is to be stored now, with the epoch after that of the lost lease.
    pub(crate) fn anew(&self, lost: &Lease, context: &JobContext, start: Start) -> NewJob {
        let waiting = u32::from(start == Start::Queued);
        let begun = context.attempt().saturating_sub(waiting);
        // The record has changed at most twice for each epoch, and once for each report.
        let first = self.job.version.max(2 * self.job.epoch + 1);
        let version = first + 2 * (lost.epoch - self.job.epoch) + context.reports();
        let running_for = self.begun.map_or(Duration::ZERO, |begun| begun.elapsed());
        let job = self.job.clone().with_start(start).with_attempt(begun);
        let job = job.with_running_for(running_for);
        // It was accepted long ago, so it is never refused.
        let job = job.with_queue_limit(QueueLimit::NONE);
        job.with_epoch(lost.epoch + 1).with_version(version)
    }
}

/// Stores a job again. Returns its lease, and the fate of that.
pub(crate) async fn restore(node: &Node, job: NewJob) -> Result<(Lease, Renewal), StoreError> {
    let (lease, handle) = (job.first_lease(), job.handle);
    match node.store.create(job).await {
        Ok(Created::New { lease, .. }) => {
            tracing::warn!(%handle, "a job that the store had lost is stored again");
            Ok((lease, Renewal::Held))
        }
        // Another job has its key.
        Ok(_) => Ok((lease, Renewal::Lost)),
        // An earlier call may have stored it, and a client cancelled it since.
        Err(error) if error.is_conflict() => match node.store.renew(&[lease]).await?[..] {
            [Renewal::Cancelled] => Ok((lease, Renewal::Cancelled)),
            _ => Ok((lease, Renewal::Lost)),
        },
        Err(error) => Err(error),
    }
}

/// Learns the fate of a lease that the store has refused. If the record is missing, the job is stored
/// again, and its new lease is held. Returns `None` if the store stays unreachable.
pub(crate) async fn fate(
    registration: &mut Registration,
    context: &JobContext,
    terms: Option<&Restorable>,
    patience: &mut Patience<'_>,
) -> Option<Renewal> {
    let node = registration.node().clone();
    let mut known = context.is_missing().then_some(Renewal::Missing);
    loop {
        let (lease, sent) = (*registration.lease(), Instant::now());
        let answer = match (known, terms) {
            (None, _) => {
                let renewals = node.store.renew(&[lease]).await;
                let first = |renewals: Vec<Renewal>| renewals.first().copied();
                renewals.map(|renewals| (lease, first(renewals).unwrap_or(Renewal::Lost)))
            }
            (Some(Renewal::Missing), Some(terms)) => {
                restore(&node, terms.anew(&lease, context, Start::Running)).await
            }
            _ => return known,
        };
        match answer {
            Ok((held, Renewal::Held)) => {
                if held != lease {
                    registration.restored(held, sent);
                }
                return Some(Renewal::Held);
            }
            Ok((_, renewal)) => known = Some(renewal),
            Err(error) if patience.lasts() => {
                let handle = registration.handle();
                tracing::warn!(error = with_sources(&error), %handle, "the fate of a lease is not known yet");
                patience.pause().await;
            }
            Err(_) => return None,
        }
    }
}

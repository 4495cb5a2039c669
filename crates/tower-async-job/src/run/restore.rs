//! Restoring the record of a running job that the store has lost. After a failover that lost
//! writes, the only lost jobs are those whose node crashed too.

use tokio::time::Instant;
use tower_async_job_core::{Created, Lease, NewJob, Renewal, Start, StoreError};

use crate::{
    node::{registration::Registration, state::Node},
    time::after,
};

/// The creation of a job's record.
pub(crate) struct Creation {
    /// A time before the call.
    pub(crate) sent: Instant,
    /// The terms for repeating it, if leases expire.
    pub(crate) terms: Option<Box<Restorable>>,
}

/// A job that can be stored again.
pub(crate) struct Restorable {
    job: NewJob,
    deadline: Instant,
}

impl Creation {
    /// Records the creation of a job, which is about to begin.
    pub(crate) fn of(job: &NewJob, node: &Node) -> Self {
        let sent = Instant::now();
        let leases_end = node.store.properties().lease.is_some();
        let terms = leases_end.then(|| {
            Box::new(Restorable {
                job: job.clone(),
                deadline: after(sent, job.deadline),
            })
        });
        Self { sent, terms }
    }
}

impl Restorable {
    /// Returns the job to be stored now, in place of a lease that was lost with its record.
    pub(crate) fn anew(&self, lost: &Lease, start: Start) -> NewJob {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let job = self.job.clone().with_start(start).with_deadline(left);
        job.with_epoch(lost.epoch + 1)
    }
}

/// Stores a job again.
///
/// # Errors
///
/// Fails with `is_lease_lost` if another job has taken its place.
pub(crate) async fn restore(node: &Node, job: NewJob) -> Result<(), StoreError> {
    let id = job.id;
    match node.store.create(job).await {
        Ok(Created::New { .. }) => {
            tracing::warn!(job = ?id, "a job that the store had lost is stored anew");
            Ok(())
        }
        Ok(_) => Err(StoreError::lease_lost()),
        Err(error) if error.is_conflict() => Err(StoreError::lease_lost()),
        Err(error) => Err(error),
    }
}

/// Stores a job again if its record is missing; returns whether it did.
pub(crate) async fn restored(registration: &mut Registration, terms: &Restorable) -> bool {
    let (node, lease) = (registration.node().clone(), *registration.lease());
    let renewals = node.store.renew(&[lease]).await;
    if !matches!(renewals.as_deref(), Ok([Renewal::Missing])) {
        return false;
    }
    let sent = Instant::now();
    let job = terms.anew(&lease, Start::Running);
    let is_restored = restore(&node, job).await.is_ok();
    if is_restored {
        registration.restored(sent);
    }
    is_restored
}

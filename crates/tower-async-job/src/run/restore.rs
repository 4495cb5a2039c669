//! The repair of a store that has lost the record of a running job, such as after a failover
//! without the latest writes: the run stores its job again, with the next epoch. Only jobs whose
//! node crashed too are lost.

use tokio::time::Instant;
use tower_async_job_core::{Created, Lease, NewJob, Renewal, Start, StoreError};

use crate::node::{registration::Registration, state::Node};

/// A job that can be stored again.
pub(crate) struct Restorable {
    job: NewJob,
    deadline: Instant,
}

impl Restorable {
    pub(crate) fn new(job: NewJob, deadline: Instant) -> Self {
        Self { job, deadline }
    }

    /// Returns the job as it was first sent to the store.
    pub(crate) fn job(&self) -> &NewJob {
        &self.job
    }

    /// Returns the job as it is to be stored now, with the epoch after that of the lost lease.
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
            tracing::warn!(job = ?id, "a job that the store had lost is stored again");
            Ok(())
        }
        Ok(_) => Err(StoreError::lease_lost()),
        Err(error) if error.is_conflict() => Err(StoreError::lease_lost()),
        Err(error) => Err(error),
    }
}

/// Stores a job again if its lease was refused because the record is missing. Returns whether it did.
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

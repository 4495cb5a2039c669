//! A job that runs here, from its acceptance to its end.

use std::sync::Arc;

use http_polling::JobState;
use tokio::{runtime::Handle, time::Instant};
use tower_async_job_core::Lease;

use crate::{
    context::JobContext,
    metrics::{self, PendingJob},
    owners::Owned,
    panics,
    registry::Deadline,
    service::Submission,
    shared::{Shared, after},
};

/// A job that this process runs, from its creation in the store to its end there: so long its
/// lease is renewed, and it can be cancelled.
///
/// Dropped before the end is stored, since the job's task panicked or was dropped, it hands the
/// job back, so that it does not stay running with nobody to run it. A job that was never announced
/// is deleted.
pub(crate) struct Registration {
    shared: Arc<Shared>,
    lease: Lease,
    /// The time at which the handler is given up: its deadline, or the end of the grace once cancelled.
    deadline: Deadline,
    /// The job's client is told of it.
    announced: bool,
    ended: bool,
    counted: PendingJob,
    _owned: Option<Box<Owned>>,
}

impl Registration {
    pub(crate) fn new(
        shared: Arc<Shared>,
        lease: Lease,
        context: JobContext,
        submission: &Submission,
        queued: bool,
        now: Instant,
    ) -> Self {
        let deadline = after(now, submission.deadline(&shared.config));
        let renews = shared.store.lease_duration().is_some();
        let registry = &shared.registry;
        let (deadline, unwatched) = registry.insert(lease, context.clone(), deadline, renews);
        if unwatched {
            shared.watch_deadlines();
        }
        if shared.given_up.is_set() {
            context.abandon();
        }
        let owners = shared.owners.as_ref();
        let owned = owners.map(|owners| Box::new(owners.own(submission.principal.clone())));
        Self {
            shared,
            lease,
            deadline,
            announced: false,
            ended: false,
            counted: PendingJob::new(submission, queued),
            _owned: owned,
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Returns whether the handler is to be given up. To be asked when the job is woken for it.
    pub(crate) fn is_due(&self) -> bool {
        let registry = &self.shared.registry;
        if registry.watch() {
            self.shared.watch_deadlines();
        }
        registry.has_passed(self.deadline, Instant::now())
    }

    /// Replaces the deadline of the handler.
    pub(crate) fn reschedule(&mut self, deadline: Instant) {
        let registry = &self.shared.registry;
        let (deadline, unwatched) = registry.reschedule(&self.lease.id, self.deadline, deadline);
        self.deadline = deadline;
        if unwatched {
            self.shared.watch_deadlines();
        }
    }

    /// Its client is told of it.
    pub(crate) fn announced(&mut self) {
        self.announced = true;
    }

    /// Its handler has had its place.
    pub(crate) fn started(&mut self) {
        self.counted.started();
    }

    /// The store has this end of the job.
    pub(crate) fn ended(self, state: JobState) {
        self.counted.ended(state);
        self.end();
    }

    /// The store has the job's end, or the job is not this process's any more.
    pub(crate) fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let registry = &self.shared.registry;
        registry.remove(&self.lease.id, self.deadline);
        if !self.ended
            && let Ok(runtime) = Handle::try_current()
        {
            let (shared, lease) = (self.shared.clone(), self.lease);
            let announced = self.announced;
            let release = async move {
                if !announced {
                    return discard(&shared, &lease).await;
                }
                match shared.store.release(&lease).await {
                    Ok(()) => metrics::ended(JobState::Lost),
                    Err(error) => {
                        tracing::warn!(%error, job = ?lease.id, "an abandoned job could not be handed back");
                    }
                }
            };
            let release = panics::logged("the job store", Box::pin(release));
            self.shared.tasks.spawn_on(release, &runtime);
        }
        self.shared.keep_house();
        self.shared
            .alarm
            .within(self.shared.config.retention.result);
    }
}

/// Deletes a job that was never announced, with its idempotency key.
pub(crate) async fn discard(shared: &Shared, lease: &Lease) {
    shared.expected.came(&lease.id);
    if let Err(error) = shared.store.discard(lease).await {
        tracing::warn!(%error, job = ?lease.id, "an unused job record could not be dropped");
    }
}

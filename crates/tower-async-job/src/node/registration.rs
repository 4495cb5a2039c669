//! A job that runs here, from its acceptance to its end.

use std::{slice, sync::Arc, time::Duration};

use http_polling::JobState;
use tokio::{runtime::Handle, sync::oneshot::Receiver, time::Instant};
use tower_async_job_core::{JobHandle, Lease, Principal, Release, Released, Subscription};

use crate::{
    context::{job::JobContext, reason::CancelReason},
    node::{
        deadlines::watch_deadlines, housekeeping::keep_house, owners::Owned, patience::Patience,
        registry::Deadline, renewal::keep_leases, state::Node,
    },
    observe::{metrics::PendingJob, with_sources},
    panics,
};

/// A job that this process runs, from its creation in the store to its end there. During this time
/// its lease is renewed, and it can be cancelled.
///
/// If it is dropped before the end is stored, because the job's task panicked or was dropped, it
/// releases the job, so that it does not stay running without a worker. A job that was never
/// announced is deleted.
pub(crate) struct Registration {
    node: Arc<Node>,
    lease: Lease,
    handle: JobHandle,
    /// The time at which the handler is dropped: its deadline, or the end of the grace after a
    /// cancellation.
    deadline: Deadline,
    /// The job is announced to its client.
    announced: bool,
    ended: bool,
    counted: PendingJob,
    _owned: Option<Box<Owned>>,
}

/// The parts of a job that its registration consists of.
pub(crate) struct Registered<'a> {
    /// The name of the job in logs.
    pub(crate) handle: JobHandle,
    pub(crate) principal: Option<&'a Principal>,
    /// The route as a label of metrics, if the application has named it.
    pub(crate) label: Option<&'a Arc<str>>,
    pub(crate) deadline: Instant,
    /// The time from which its lease lasts: before the store was asked for it.
    pub(crate) since: Instant,
    pub(crate) queued: bool,
}

impl Registration {
    pub(crate) fn new(
        node: Arc<Node>,
        lease: Lease,
        context: JobContext,
        job: Registered<'_>,
    ) -> Self {
        let registry = &node.registry;
        let (deadline, unwatched) =
            registry.insert(lease, context.clone(), job.deadline, job.since);
        if unwatched {
            watch_deadlines(&node);
        }
        keep_leases(&node);
        if is_old(job.since, node.store.properties().lease) {
            node.renew_now.notify_one();
        }
        if node.shutdown.given_up.is_set() {
            context.cancel(CancelReason::Shutdown);
        }
        let owners = node.owners.as_ref();
        let owned = owners.map(|owners| Box::new(owners.own(job.principal.cloned())));
        let counted = PendingJob::new(&node.meter, job.label, job.queued);
        Self {
            node,
            lease,
            handle: job.handle,
            deadline,
            announced: false,
            ended: false,
            counted,
            _owned: owned,
        }
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Returns the name of the job in logs.
    pub(crate) fn handle(&self) -> JobHandle {
        self.handle
    }

    /// Subscribes to the end of the job, if another node may cancel it.
    pub(crate) fn subscribed(&self) -> Option<Subscription> {
        let node = &self.node;
        node.is_shared.then(|| node.store.subscribe(&self.lease.id))
    }

    /// Returns whether the handler must be dropped. Called when the job is woken for it.
    pub(crate) fn is_due(&self) -> bool {
        let registry = &self.node.registry;
        if registry.watch() {
            watch_deadlines(&self.node);
        }
        registry.has_passed(self.deadline, Instant::now())
    }

    pub(crate) fn reschedule(&mut self, deadline: Instant) {
        let registry = &self.node.registry;
        let (deadline, unwatched) = registry.reschedule(&self.lease.id, self.deadline, deadline);
        self.deadline = deadline;
        if unwatched {
            watch_deadlines(&self.node);
        }
    }

    /// Notes that the store has the lost job again, by this lease, which lasts from then.
    pub(crate) fn restored(&mut self, lease: Lease, since: Instant) {
        self.node.registry.replace(&self.lease, lease, since);
        self.lease = lease;
    }

    /// Releases the job, whose handler has been dropped, on these terms. The receiver gets its fate, or
    /// an error if that stays unknown. `None` without a runtime.
    pub(crate) fn release(mut self, how: Release) -> Option<Receiver<Released>> {
        let (node, lease) = (self.node.clone(), self.lease);
        self.ended = true;
        // Another run may begin once the store has the job.
        drop(self);
        node.releases.release(lease, how)
    }

    /// Returns the terms of a release that the handler has not asked for: a shutdown uses up no attempt;
    /// another cause, such as a panic, may happen in each.
    pub(crate) fn terms_of_release(&self) -> Release {
        Release::default().with_counts(!self.node.shutdown.given_up.is_set())
    }

    /// Notes that the job is announced to its client.
    pub(crate) fn announced(&mut self) {
        self.announced = true;
    }

    pub(crate) fn started(&mut self) {
        self.counted.started();
    }

    /// Notes that the store has this end of the job.
    pub(crate) fn ended(self, state: JobState) {
        self.counted.ended(state);
        self.end();
    }

    /// Notes that the store has the job's end, or that the job belongs to another process.
    pub(crate) fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let registry = &self.node.registry;
        registry.remove(&self.lease, self.deadline);
        if !self.ended && self.announced {
            let how = self.terms_of_release();
            let _ = self.node.releases.release(self.lease, how);
        } else if !self.ended {
            discard_later(&self.node, self.lease, self.handle, false);
        }
        keep_house(&self.node);
        self.node.sweep_after_end();
    }
}

/// Returns whether a lease from then may expire before all are renewed again.
fn is_old(since: Instant, lease: Option<Duration>) -> bool {
    lease.is_some_and(|lease| since.elapsed() > lease / 3)
}

/// Deletes a job that was never announced, in a task. If it may have been found by its key, it ends as
/// lost instead. Called in destructors.
pub(crate) fn discard_later(node: &Arc<Node>, lease: Lease, handle: JobHandle, found: bool) {
    if let Ok(runtime) = Handle::try_current() {
        let discarding = node.clone();
        let discard = Box::pin(async move { discard(&discarding, &lease, handle, found).await });
        let discard = panics::logged("the job store", discard);
        node.tasks.spawn_on(discard, &runtime);
    }
}

/// Deletes a job that was never announced, with its idempotency key, or releases it if it may have been
/// found by that. While the store is unreachable, that is repeated for a lease, after which the job has
/// ended by itself.
async fn discard(node: &Node, lease: &Lease, handle: JobHandle, found: bool) {
    node.expected.came(&lease.id);
    let time = node.store.properties().lease.unwrap_or_default();
    let mut patience = Patience::new(time, &node.shutdown);
    let call = async || match found {
        true => {
            let released = node
                .store
                .release(slice::from_ref(lease), Release::default());
            released.await.map(drop)
        }
        false => node.store.discard(lease).await,
    };
    while let Err(error) = call().await {
        tracing::warn!(error = with_sources(&error), %handle, "an unused job record could not be dropped");
        if !error.is_unavailable() || !patience.lasts() {
            return;
        }
        patience.pause().await;
    }
}

#[cfg(test)]
mod tests;

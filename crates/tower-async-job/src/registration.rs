//! The jobs that this process runs.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, time::Instant};
use tower_async_job_core::{JobId, JobIdMap, Lease};

use crate::{context::JobContext, shared::Shared};

/// All of them.
#[derive(Default)]
pub(crate) struct Registry {
    jobs: Mutex<Jobs>,
}

#[derive(Default)]
struct Jobs {
    contexts: JobIdMap<JobContext>,
    /// The leases that end unless they are renewed.
    leases: JobIdMap<Held>,
}

struct Held {
    lease: Lease,
    /// When the lease was last known to be held.
    renewed: Instant,
}

impl Registry {
    /// The leases that are to be renewed.
    pub(crate) fn leases(&self) -> Vec<Lease> {
        self.jobs().leases.values().map(|held| held.lease).collect()
    }

    pub(crate) fn renewed(&self, id: &JobId, at: Instant) {
        if let Some(held) = self.jobs().leases.get_mut(id) {
            held.renewed = at;
        }
    }

    /// Tells the handler of a job that it is cancelled, if it runs here.
    pub(crate) fn cancel(&self, id: &JobId) {
        // Not a temporary of an `if let`, which would hold the lock while others are woken.
        let context = self.jobs().contexts.get(id).cloned();
        if let Some(context) = context {
            context.cancel();
        }
    }

    /// Cancels the jobs whose leases were not renewed for so long.
    pub(crate) fn cancel_unrenewed(&self, age: Duration) {
        let jobs = self.jobs();
        let unrenewed: Vec<JobContext> = jobs
            .leases
            .iter()
            .filter(|(_, held)| held.renewed.elapsed() >= age)
            .filter_map(|(id, _)| jobs.contexts.get(id).cloned())
            .collect();
        drop(jobs);
        for context in unrenewed {
            context.cancel();
        }
    }

    fn insert(&self, lease: Lease, context: JobContext, renews: bool) {
        let renewed = Instant::now();
        let mut jobs = self.jobs();
        jobs.contexts.insert(lease.id, context);
        if renews {
            jobs.leases.insert(lease.id, Held { lease, renewed });
        }
    }

    fn remove(&self, id: &JobId) {
        let mut jobs = self.jobs();
        jobs.leases.remove(id);
        let context = jobs.contexts.remove(id);
        drop(jobs);
        // The last one of a handler's may run foreign code: not to be dropped under the lock.
        drop(context);
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job that this process runs, from its creation in the store to its end there: so long its
/// lease is renewed, and it can be cancelled.
///
/// Dropped before the end is stored, since the job's task panicked or was dropped, it hands the
/// job back, so that it does not stay running with nobody to run it.
pub(crate) struct Registration {
    shared: Arc<Shared>,
    lease: Lease,
    ended: bool,
}

impl Registration {
    pub(crate) fn new(shared: Arc<Shared>, lease: Lease, context: JobContext) -> Self {
        let renews = shared.store.lease_duration().is_some();
        shared.registry.insert(lease, context, renews);
        Self {
            shared,
            lease,
            ended: false,
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// The store has the job's end, or the job is not this process's any more.
    pub(crate) fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.shared.registry.remove(&self.lease.id);
        if !self.ended
            && let Ok(runtime) = Handle::try_current()
        {
            let (shared, lease) = (self.shared.clone(), self.lease);
            let release = async move {
                if let Err(error) = shared.store.release(&lease).await {
                    tracing::warn!(%error, job = ?lease.id, "an abandoned job could not be handed back");
                }
            };
            self.shared.tasks.spawn_on(release, &runtime);
        }
        self.shared.keep_house();
    }
}

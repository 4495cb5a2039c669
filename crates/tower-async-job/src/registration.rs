//! The jobs that this process runs.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http_polling::JobState;
use tokio::{runtime::Handle, time::Instant};
use tower_async_job_core::{JobId, JobIdMap, Lease};

use crate::{
    context::JobContext,
    metrics::{self, PendingJob},
    shared::Shared,
};

/// All of them.
#[derive(Default)]
pub(crate) struct Registry {
    jobs: Mutex<Jobs>,
    /// How many they are, to be known without the lock.
    pending: AtomicUsize,
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
    /// How many jobs this process runs or has queued.
    pub(crate) fn pending(&self) -> usize {
        self.pending.load(Ordering::Relaxed)
    }

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

    /// Gives all jobs up, so that they are handed back.
    pub(crate) fn abandon_all(&self) {
        let running: Vec<JobContext> = self.jobs().contexts.values().cloned().collect();
        running.iter().for_each(JobContext::abandon);
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
        if jobs.contexts.insert(lease.id, context).is_none() {
            self.pending.fetch_add(1, Ordering::Relaxed);
        }
        if renews {
            jobs.leases.insert(lease.id, Held { lease, renewed });
        }
    }

    fn remove(&self, id: &JobId) {
        let mut jobs = self.jobs();
        jobs.leases.remove(id);
        let context = jobs.contexts.remove(id);
        drop(jobs);
        if context.is_some() {
            self.pending.fetch_sub(1, Ordering::Relaxed);
        }
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
    counted: PendingJob,
}

impl Registration {
    pub(crate) fn new(
        shared: Arc<Shared>,
        lease: Lease,
        context: JobContext,
        counted: PendingJob,
    ) -> Self {
        let renews = shared.store.lease_duration().is_some();
        shared.registry.insert(lease, context.clone(), renews);
        if shared.given_up.is_set() {
            context.abandon();
        }
        Self {
            shared,
            lease,
            ended: false,
            counted,
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
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
        self.shared.registry.remove(&self.lease.id);
        if !self.ended
            && let Ok(runtime) = Handle::try_current()
        {
            let (shared, lease) = (self.shared.clone(), self.lease);
            let release = async move {
                match shared.store.release(&lease).await {
                    Ok(()) => metrics::ended(JobState::Lost),
                    Err(error) => {
                        tracing::warn!(%error, job = ?lease.id, "an abandoned job could not be handed back");
                    }
                }
            };
            self.shared.tasks.spawn_on(release, &runtime);
        }
        self.shared.keep_house();
    }
}

//! The release of leases before their jobs have ended, in batches.
//!
//! Leases added while a batch is in flight form the next one. If leases expire, a batch is repeated
//! while the store is unavailable, for up to one lease duration.

use std::{
    iter::zip,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::oneshot,
    task::yield_now,
    time::{Instant, sleep},
};
use tokio_util::task::TaskTracker;
use tower_async_job_core::{JobStore, Lease, Release, Released, StoreError};

use crate::{observe::metrics, panics, time::later};

/// The most leases in a batch.
const BATCH: usize = 1_000;

/// The first pause before a batch is repeated.
const PAUSE: Duration = Duration::from_millis(100);

/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The leases that are to be released.
pub(crate) struct Releases {
    store: Arc<dyn JobStore>,
    tasks: TaskTracker,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    leases: Vec<Given>,
    /// A task releases them.
    attended: bool,
}

/// A lease to be released.
struct Given {
    lease: Lease,
    /// The run counts as an attempt.
    counts: bool,
    sender: oneshot::Sender<Released>,
}

impl Releases {
    /// Creates the releases to a store, made by tracked tasks.
    pub(crate) fn new(store: Arc<dyn JobStore>, tasks: TaskTracker) -> Self {
        Self {
            store,
            tasks,
            waiting: Mutex::default(),
        }
    }

    /// Releases a lease; `counts` is whether the run counts as an attempt. The receiver gets the
    /// fate of the job, or an error if that stays unknown. `None` without a runtime.
    pub(crate) fn release(
        self: &Arc<Self>,
        lease: Lease,
        counts: bool,
    ) -> Option<oneshot::Receiver<Released>> {
        let runtime = Handle::try_current().ok()?;
        let (sender, receiver) = oneshot::channel();
        let is_attended = {
            let mut waiting = self.waiting();
            waiting.leases.push(Given {
                lease,
                counts,
                sender,
            });
            mem::replace(&mut waiting.attended, true)
        };
        if !is_attended {
            let attendant = Attendant(self.clone());
            let releasing = async move { attendant.release_all().await };
            self.tasks.spawn_on(releasing, &runtime);
        }
        Some(receiver)
    }

    /// Takes leases that can be released together. Without any, the task is over.
    fn take(&self) -> Option<(Vec<Given>, bool)> {
        let mut waiting = self.waiting();
        let Some(first) = waiting.leases.first() else {
            waiting.attended = false;
            return None;
        };
        let counts = first.counts;
        let alike = waiting.leases.iter().take(BATCH);
        let batch = alike.take_while(|given| given.counts == counts).count();
        Some((waiting.leases.drain(..batch).collect(), counts))
    }

    async fn send(&self, leases: &[Lease], counts: bool) -> Result<Vec<Released>, StoreError> {
        let how = Release::default().with_counts(counts);
        let until = later(self.store.properties().lease.unwrap_or_default());
        let mut pause = PAUSE;
        loop {
            match self.store.release(leases, how.clone()).await {
                Err(error) if error.is_unavailable() && Instant::now() + pause < until => {
                    tracing::warn!(%error, "abandoned jobs could not be released yet");
                    sleep(pause).await;
                    pause = (2 * pause).min(LONGEST_PAUSE);
                }
                released => return released,
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that releases leases. However it ends, another can start.
struct Attendant(Arc<Releases>);

impl Drop for Attendant {
    fn drop(&mut self) {
        self.0.waiting().attended = false;
    }
}

impl Attendant {
    async fn release_all(&self) {
        // Collects the leases that are released together.
        yield_now().await;
        while let Some((batch, counts)) = self.0.take() {
            let leases: Vec<Lease> = batch.iter().map(|given| given.lease).collect();
            let sent = Box::pin(self.0.send(&leases, counts));
            match panics::logged("the job store", sent).await {
                Ok(Ok(released)) => {
                    for (given, released) in zip(batch, released) {
                        count(released);
                        let _ = given.sender.send(released);
                    }
                }
                failed => {
                    let jobs = leases.len();
                    tracing::warn!(?failed, jobs, "abandoned jobs could not be released");
                }
            }
        }
    }
}

/// Counts a run that was stopped by a release.
pub(crate) fn count(released: Released) {
    match released {
        Released::Ended(state) => metrics::ended(state),
        Released::Queued | Released::Outside => metrics::stopped("released"),
        _ => metrics::stopped("lease-lost"),
    }
}

//! The release of leases before their jobs have ended, in batches.
//!
//! Leases added while a batch is in flight form the next one. If leases expire, a batch is repeated
//! while the store is unavailable, for up to one lease duration.

use std::{
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
use tower_async_job_core::{Lease, Release, Released, StoreError};

use crate::{node::state::Node, observe::metrics, panics, time::later};

/// The most leases in a batch.
const BATCH: usize = 1_000;

/// The first pause before a batch is repeated.
const PAUSE: Duration = Duration::from_millis(100);

/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The leases that are to be released.
#[derive(Default)]
pub(crate) struct Releases(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    leases: Vec<(Lease, oneshot::Sender<Released>)>,
    /// A task releases them.
    attended: bool,
}

/// Releases a lease. The receiver gets the fate of the job, or an error if that stays unknown. `None`
/// without a runtime.
pub(crate) fn release(node: &Arc<Node>, lease: Lease) -> Option<oneshot::Receiver<Released>> {
    let runtime = Handle::try_current().ok()?;
    let (sender, receiver) = oneshot::channel();
    let is_attended = {
        let mut waiting = node.releases.waiting();
        waiting.leases.push((lease, sender));
        mem::replace(&mut waiting.attended, true)
    };
    if !is_attended {
        let attendant = Attendant(node.clone());
        let releasing = Box::pin(async move { attendant.release_all().await });
        let releasing = panics::logged("the job store", releasing);
        node.tasks.spawn_on(releasing, &runtime);
    }
    Some(receiver)
}

impl Releases {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that releases leases. However it ends, another can start.
struct Attendant(Arc<Node>);

impl Drop for Attendant {
    fn drop(&mut self) {
        self.0.releases.waiting().attended = false;
    }
}

impl Attendant {
    async fn release_all(&self) {
        loop {
            // Collects the leases that are released together.
            yield_now().await;
            let (leases, senders): (Vec<_>, Vec<_>) = {
                let mut waiting = self.0.releases.waiting();
                if waiting.leases.is_empty() {
                    waiting.attended = false;
                    return;
                }
                let batch = waiting.leases.len().min(BATCH);
                waiting.leases.drain(..batch).unzip()
            };
            match self.send(&leases).await {
                Ok(released) => {
                    for (released, sender) in released.into_iter().zip(senders) {
                        count(released);
                        let _ = sender.send(released);
                    }
                }
                Err(error) => {
                    let jobs = leases.len();
                    tracing::warn!(%error, jobs, "abandoned jobs could not be released");
                }
            }
        }
    }

    async fn send(&self, leases: &[Lease]) -> Result<Vec<Released>, StoreError> {
        let node = &self.0;
        // A shutdown uses up no attempt. Another cause, such as a panic, may happen in each attempt.
        let counts = !node.shutdown.given_up.is_set();
        let how = Release::default().with_counts(counts);
        let until = later(node.store.properties().lease.unwrap_or_default());
        let mut pause = PAUSE;
        loop {
            match node.store.release(leases, how.clone()).await {
                Err(error) if error.is_unavailable() && Instant::now() + pause < until => {
                    tracing::warn!(%error, "abandoned jobs could not be released yet");
                    sleep(pause).await;
                    pause = (2 * pause).min(LONGEST_PAUSE);
                }
                released => return released,
            }
        }
    }
}

fn count(released: Released) {
    match released {
        Released::Ended(state) => metrics::ended(state),
        Released::Queued => metrics::stopped("released"),
        _ => metrics::stopped("lease-lost"),
    }
}

//! The release of leases before their jobs have ended, in batches.
//!
//! A batch has leases that are released on the same terms. While [`AT_ONCE`] are in flight, leases are
//! collected for the next ones. A batch is repeated while the store is unavailable, until its leases have expired by
//! themselves.

use std::{
    future::poll_fn,
    iter::zip,
    mem,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use http_polling::JobState;
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
    task::{JoinSet, yield_now},
    time::Instant,
};
use tokio_util::task::TaskTracker;
use tower_async_job_core::{JobStore, Lease, Release, Released, StoreError};

use crate::{
    node::{patience::Patience, shutdown::Shutdown},
    observe::{metrics::Meter, with_sources},
    panics,
};

/// The most leases in a batch.
const BATCH: usize = 1_000;

/// The most batches in flight.
const AT_ONCE: usize = 64;

/// The leases that are to be released.
pub(crate) struct Releases {
    store: Arc<dyn JobStore>,
    tasks: TaskTracker,
    shutdown: Arc<Shutdown>,
    meter: Meter,
    waiting: Mutex<Waiting>,
    /// Notified of each lease that is added while a task releases others.
    added: Notify,
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
    how: Release,
    since: Instant,
    sender: oneshot::Sender<Released>,
}

impl Releases {
    /// Creates the releases to a store, made by tracked tasks.
    pub(crate) fn new(
        store: Arc<dyn JobStore>,
        tasks: TaskTracker,
        shutdown: Arc<Shutdown>,
        meter: Meter,
    ) -> Self {
        Self {
            store,
            tasks,
            shutdown,
            meter,
            waiting: Mutex::default(),
            added: Notify::new(),
        }
    }

    /// Releases a lease on these terms. The receiver gets the fate of the job, or an error if that
    /// stays unknown. `None` without a runtime.
    pub(crate) fn release(
        self: &Arc<Self>,
        lease: Lease,
        how: Release,
    ) -> Option<oneshot::Receiver<Released>> {
        let runtime = Handle::try_current().ok()?;
        let (sender, receiver) = oneshot::channel();
        let is_attended = {
            let mut waiting = self.waiting();
            waiting.leases.push(Given {
                lease,
                how,
                since: Instant::now(),
                sender,
            });
            mem::replace(&mut waiting.attended, true)
        };
        if is_attended {
            self.added.notify_one();
        } else {
            let mut attendant = Attendant::new(self.clone());
            let releasing = async move { attendant.release_all().await };
            self.tasks.spawn_on(releasing, &runtime);
        }
        Some(receiver)
    }

    /// Takes leases that can be released together.
    fn take(&self) -> Option<Vec<Given>> {
        let mut waiting = self.waiting();
        let how = waiting.leases.first()?.how.clone();
        let alike = waiting.leases.extract_if(.., |given| given.how == how);
        Some(alike.take(BATCH).collect())
    }

    /// Ends the attendance, unless further leases wait.
    fn leave(&self) -> bool {
        let mut waiting = self.waiting();
        waiting.attended = !waiting.leases.is_empty();
        !waiting.attended
    }

    /// Releases a batch, and notifies those who wait for the fates of its jobs.
    async fn deliver(self: Arc<Self>, batch: Vec<Given>) {
        let sent = Box::pin(self.send(&batch));
        match panics::logged("the job store", sent).await {
            Ok(Ok(fates)) => {
                for (given, fate) in zip(batch, fates) {
                    count(&self.meter, fate);
                    if let Some(released) = fate {
                        tracing::debug!(?released, job = ?given.lease.id, "job released");
                        let _ = given.sender.send(released);
                    }
                }
            }
            failed => {
                if let Ok(Err(error)) = failed {
                    tracing::warn!(
                        error = with_sources(&error),
                        jobs = batch.len(),
                        "abandoned jobs could not be released"
                    );
                }
                batch.iter().for_each(|_| count(&self.meter, None));
            }
        }
    }

    /// Releases a batch. Returns the fate of each job, as far as it is known.
    async fn send(&self, batch: &[Given]) -> Result<Vec<Option<Released>>, StoreError> {
        let Some(Given { how, since, .. }) = batch.last() else {
            return Ok(Vec::new());
        };
        let leases: Vec<Lease> = batch.iter().map(|given| given.lease).collect();
        let lease = self.store.properties().lease;
        if lease.is_some_and(|lease| since.elapsed() >= lease) {
            return Err(StoreError::unavailable("the leases are over"));
        }
        let mut patience = Patience::to_release(*since, lease, &self.shutdown);
        let mut is_repeated = false;
        loop {
            match self.store.release(&leases, how.clone()).await {
                Err(error) if error.is_unavailable() && patience.lasts() => {
                    tracing::warn!(
                        error = with_sources(&error),
                        "abandoned jobs could not be released yet"
                    );
                    patience.pause().await;
                    is_repeated = true;
                }
                released => {
                    // An earlier call may have released what is lost now.
                    let known = |fate: &Released| !is_repeated || *fate != Released::Lost;
                    let fates = released?.into_iter();
                    return Ok(fates.map(|fate| Some(fate).filter(known)).collect());
                }
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that releases leases. However it ends, another can start.
struct Attendant {
    releases: Arc<Releases>,
    /// All leases are released, and another task may have started since.
    is_over: bool,
}

impl Drop for Attendant {
    fn drop(&mut self) {
        if !self.is_over {
            self.releases.waiting().attended = false;
        }
    }
}

impl Attendant {
    const fn new(releases: Arc<Releases>) -> Self {
        Self {
            releases,
            is_over: false,
        }
    }

    async fn release_all(&mut self) {
        let mut in_flight = JoinSet::new();
        loop {
            // Collects the leases that are released together.
            yield_now().await;
            while in_flight.len() < AT_ONCE
                && let Some(batch) = self.releases.take()
            {
                in_flight.spawn(self.releases.clone().deliver(batch));
            }
            if in_flight.is_empty() && self.releases.leave() {
                break;
            }
            let has_room = in_flight.len() < AT_ONCE;
            let mut added = pin!(self.releases.added.notified());
            poll_fn(|cx| match in_flight.poll_join_next(cx) {
                Poll::Pending if has_room => added.as_mut().poll(cx),
                ended => ended.map(drop),
            })
            .await;
        }
        self.is_over = true;
    }
}

/// Counts a run that was stopped by a release, whose fate may be unknown.
fn count(meter: &Meter, released: Option<Released>) {
    match released {
        Some(Released::Ended(state)) => {
            meter.ended(state);
            let is_lost = matches!(state, JobState::Lost | JobState::Failed);
            meter.lost(is_lost.into());
        }
        Some(Released::Queued | Released::Outside) | None => meter.stopped("released"),
        Some(_) => meter.stopped("lease-lost"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::sleep;
    use tower_async_job_core::{JobId, MemoryStore};
    use tower_async_job_testkit::{Call, Fault, FaultyStore, Gate};

    use super::*;

    #[tokio::test]
    async fn attendant_that_is_over_leaves_its_successor_alone() {
        let store = Arc::new(MemoryStore::new());
        let meter = Meter::new(None, "memory");
        let releases = Releases::new(store, TaskTracker::new(), Arc::default(), meter);
        let releases = Arc::new(releases);
        let mut first = Attendant::new(releases.clone());
        first.release_all().await;
        let lease = Lease::new(JobId::random(), 1);
        let released = releases.release(lease, Release::default());
        drop(first);
        assert!(releases.waiting().attended);
        assert_eq!(released.expect("a runtime").await, Ok(Released::Lost));
    }

    const SECOND: Duration = Duration::from_secs(1);

    /// Releases leases on these terms in a store that takes a second for each call. Returns the time
    /// until all are released, and the number of calls.
    async fn slowly(terms: impl Iterator<Item = Release>) -> (Duration, usize) {
        let store = FaultyStore::new(Arc::new(MemoryStore::new()));
        store.plan(Call::Release, Fault::Late(SECOND), 100);
        let meter = Meter::new(None, "memory");
        let releases = Releases::new(store.store(), TaskTracker::new(), Arc::default(), meter);
        let releases = Arc::new(releases);
        let begun = Instant::now();
        let released: Vec<_> = terms
            .map(|how| releases.release(Lease::new(JobId::random(), 1), how))
            .collect();
        for released in released {
            let fate = released.expect("a runtime").await;
            assert_eq!(fate, Ok(Released::Lost));
        }
        (begun.elapsed(), store.calls(Call::Release))
    }

    #[tokio::test(start_paused = true)]
    async fn releases_on_different_terms_do_not_wait_for_each_other() {
        let terms = (1..=40).map(|seconds| Release::default().with_after(seconds * SECOND));
        assert_eq!(slowly(terms).await, (SECOND, 40));
    }

    #[tokio::test(start_paused = true)]
    async fn releases_on_the_same_terms_are_one_call_whatever_is_between_them() {
        let terms = (0..40).map(|number| Release::default().with_counts(number % 2 == 0));
        assert_eq!(slowly(terms).await, (SECOND, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn release_does_not_wait_for_batches_that_are_stuck() {
        let store = FaultyStore::new(Arc::new(MemoryStore::new()));
        let stuck: Vec<_> = (0..AT_ONCE).map(|_| store.hold(Call::Release)).collect();
        let meter = Meter::new(None, "memory");
        let releases = Releases::new(store.store(), TaskTracker::new(), Arc::default(), meter);
        let releases = Arc::new(releases);
        let mut released = Vec::new();
        for given in 1..=AT_ONCE + 2 {
            let lease = Lease::new(JobId::random(), 1);
            released.push(releases.release(lease, Release::default()));
            sleep(SECOND).await;
            assert_eq!(store.calls(Call::Release), given.min(AT_ONCE));
        }
        stuck.into_iter().for_each(Gate::open);
        for released in released {
            let fate = released.expect("a runtime").await;
            assert_eq!(fate, Ok(Released::Lost));
        }
        assert_eq!(store.calls(Call::Release), AT_ONCE + 1);
    }
}

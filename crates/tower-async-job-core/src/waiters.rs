use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use crate::{
    error::StoreError,
    id::{JobId, JobIdMap},
    subscription::Subscription,
    sync::{Arc, Mutex, lock},
    wake::{Place, Wake},
};

/// The subscriptions to jobs of a store whose jobs may end on other nodes.
///
/// The store [notifies](Self::notify) of the ends in its feed, and runs [`recheck`](Self::recheck),
/// which finds those that the feed has lost.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use tower_async_job_core::{JobId, Waiters};
///
/// let waiters = Waiters::default();
/// let id = JobId::random();
/// let ended = waiters.subscribe(&id);
/// waiters.notify(&id);
/// ended.await;
/// assert!(waiters.watched().is_empty());
/// # }
/// ```
#[derive(Default)]
pub struct Waiters(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    watches: JobIdMap<Watch>,
    /// The wake of tasks that wait for a job to watch; created by the first of them.
    first: Option<Arc<Wake>>,
}

struct Watch {
    wake: Arc<Wake>,
    subscriptions: usize,
}

impl Waiters {
    /// Subscribes to the end of a job; see [`JobStore::subscribe`](crate::JobStore::subscribe).
    pub fn subscribe(&self, id: &JobId) -> Subscription {
        let (wake, first) = {
            let mut table = lock(&self.0);
            let watch = table.watches.entry(*id).or_insert_with(|| Watch {
                wake: Arc::default(),
                subscriptions: 0,
            });
            watch.subscriptions += 1;
            (Arc::clone(&watch.wake), table.first.take())
        };
        if let Some(first) = first {
            first.wake_all();
        }
        Subscription::from_future(Watching {
            place: Place::at(wake),
            id: *id,
            table: Arc::clone(&self.0),
        })
    }

    /// Wakes all subscriptions to a job. Call it after the end is stored.
    pub fn notify(&self, id: &JobId) {
        let watch = lock(&self.0).watches.remove(id);
        if let Some(watch) = watch {
            watch.wake.wake_all();
        }
    }

    /// Wakes all subscriptions to all jobs, for a gap in the feed.
    pub fn notify_all(&self) {
        let watches = std::mem::take(&mut lock(&self.0).watches);
        for watch in watches.into_values() {
            watch.wake.wake_all();
        }
    }

    /// Returns the jobs that have subscriptions.
    pub fn watched(&self) -> Vec<JobId> {
        lock(&self.0).watches.keys().copied().collect()
    }

    /// Checks repeatedly which watched jobs are no longer pending, in one batch, and notifies of
    /// them. Checks nothing while no job is watched.
    ///
    /// `pause` waits for the interval between two batches, and `ended` returns those of the given
    /// jobs that are not pending; after an error, it is called again. The store spawns this future
    /// once, and drops it with itself.
    pub async fn recheck<P, E>(
        &self,
        mut pause: impl FnMut() -> P,
        mut ended: impl FnMut(Vec<JobId>) -> E,
    ) -> Infallible
    where
        P: Future<Output = ()>,
        E: Future<Output = Result<Vec<JobId>, StoreError>>,
    {
        loop {
            self.first().await;
            pause().await;
            for id in ended(self.watched()).await.unwrap_or_default() {
                self.notify(&id);
            }
        }
    }

    /// Waits until there is a job to watch.
    async fn first(&self) {
        let wake = {
            let mut table = lock(&self.0);
            if !table.watches.is_empty() {
                return;
            }
            Arc::clone(table.first.get_or_insert_default())
        };
        Place::at(wake).await;
    }
}

impl fmt::Debug for Waiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiters").finish_non_exhaustive()
    }
}

/// A subscription. Dropping the last one to a job ends the watch.
struct Watching {
    place: Place,
    id: JobId,
    table: Arc<Mutex<Table>>,
}

impl Future for Watching {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.place).poll(context)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        let watch = table.watches.get_mut(&self.id);
        // After a notification, there may be a new watch.
        let Some(watch) = watch.filter(|watch| self.place.is_at(&watch.wake)) else {
            return;
        };
        watch.subscriptions -= 1;
        if watch.subscriptions == 0 {
            table.watches.remove(&self.id);
        }
    }
}

use std::{
    collections::VecDeque,
    future::pending,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use tower_async_job_core::{
    Call, Interpose, Interposed, JobId, JobStore, StoreError, StoreFuture, Subscription,
};

/// A fault of a connection to a store.
///
/// ```
/// use tower_async_job_testkit::Fault;
///
/// assert_ne!(Fault::Before, Fault::After);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call fails as unavailable, without effect.
    Before,
    /// The call takes effect, but its answer is lost: it fails as unavailable.
    After,
    /// The call takes effect, and never answers.
    Hang,
    /// The call takes effect after this time.
    Delay(Duration),
}

#[derive(Clone, Debug)]
enum Step {
    Fault(Fault),
    Wait(watch::Receiver<bool>),
}

/// The gate of a call that is held until it is opened; see [`FaultyStore::hold`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use tower_async_job_core::{JobId, JobStore, MemoryStore, NewJob};
/// use tower_async_job_testkit::{Call, FaultyStore};
///
/// let faulty = FaultyStore::new(Arc::new(MemoryStore::new()));
/// let gate = faulty.hold(Call::Create);
/// let (store, job) = (faulty.store(), NewJob::new(JobId::random()));
/// let lease = job.first_lease();
/// let create = tokio::spawn(async move { store.create(job).await });
/// faulty.store().discard(&lease).await.unwrap();
/// gate.open();
/// assert!(create.await.unwrap().unwrap_err().is_conflict());
/// # });
/// ```
#[derive(Debug)]
#[must_use = "the call is made once the gate is opened or dropped"]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    /// Lets the call proceed, as dropping the gate does.
    pub fn open(self) {
        self.0.send_replace(true);
    }
}

/// A store behind a connection with faults on demand.
///
/// Clones share the store and the faults. The immediate calls never answer, so that all calls use
/// the connection.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use tower_async_job_core::{JobId, JobStore, MemoryStore, NewJob};
/// use tower_async_job_testkit::{Call, Fault, FaultyStore};
///
/// let faulty = FaultyStore::new(Arc::new(MemoryStore::new()));
/// faulty.next(Call::Create, Fault::After);
/// let store = faulty.store();
/// let job = NewJob::new(JobId::random());
/// assert!(store.create(job.clone()).await.unwrap_err().is_unavailable());
/// assert!(store.create(job).await.is_ok(), "repeating it is right");
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct FaultyStore(Arc<Interposed<Connection>>);

#[derive(Debug)]
struct Connection {
    store: Arc<dyn JobStore>,
    steps: Mutex<VecDeque<(Call, Step)>>,
    loses_wakes: std::sync::atomic::AtomicBool,
}

impl FaultyStore {
    /// Creates a connection to this store, without faults.
    pub fn new(store: Arc<dyn JobStore>) -> Self {
        Self(Arc::new(Interposed::new(Connection {
            store,
            steps: Mutex::default(),
            loses_wakes: std::sync::atomic::AtomicBool::new(false),
        })))
    }

    /// Returns the store as seen through the connection.
    pub fn store(&self) -> Arc<dyn JobStore> {
        Arc::clone(&self.0) as _
    }

    /// Makes the next call of this kind fail. Faults of one kind of call happen in the order of
    /// these calls.
    pub fn next(&self, call: Call, fault: Fault) {
        self.add(call, Step::Fault(fault));
    }

    /// Holds the next call of this kind, so that others overtake it.
    pub fn hold(&self, call: Call) -> Gate {
        let (sender, receiver) = watch::channel(false);
        self.add(call, Step::Wait(receiver));
        Gate(sender)
    }

    /// Loses all wake-ups of subscriptions made from now on.
    pub fn lose_wakes(&self) {
        let loses = &self.0.get_ref().loses_wakes;
        loses.store(true, std::sync::atomic::Ordering::SeqCst);
    }

    fn add(&self, call: Call, step: Step) {
        let mut steps = lock(&self.0.get_ref().steps);
        steps.push_back((call, step));
    }
}

impl Connection {
    fn step(&self, call: Call) -> Option<Step> {
        let mut steps = lock(&self.steps);
        let place = steps.iter().position(|(of, _)| *of == call)?;
        steps.remove(place).map(|(_, step)| step)
    }

    fn subscription(&self, subscribe: impl FnOnce() -> Subscription) -> Subscription {
        if self.loses_wakes.load(std::sync::atomic::Ordering::SeqCst) {
            Subscription::from_future(pending())
        } else {
            subscribe()
        }
    }
}

impl Interpose for Connection {
    fn inner(&self) -> &dyn JobStore {
        &*self.store
    }

    fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        answer: StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move {
            match self.step(call) {
                None => answer.await,
                Some(Step::Fault(Fault::Before)) => Err(StoreError::unavailable("cut off")),
                Some(Step::Fault(Fault::After)) => {
                    drop(answer.await);
                    Err(StoreError::unavailable("the answer is lost"))
                }
                Some(Step::Fault(Fault::Hang)) => {
                    drop(answer.await);
                    pending().await
                }
                Some(Step::Fault(Fault::Delay(delay))) => {
                    tokio::time::sleep(delay).await;
                    answer.await
                }
                Some(Step::Wait(mut gate)) => {
                    // An error: the gate was dropped.
                    let _ = gate.wait_for(|open| *open).await;
                    answer.await
                }
            }
        })
    }

    fn subscribe(&self, id: &JobId) -> Subscription {
        self.subscription(|| self.store.subscribe(id))
    }

    fn work(&self) -> Subscription {
        self.subscription(|| self.store.work())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

use std::{
    collections::{HashMap, VecDeque},
    future::pending,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;
use tower_async_job_core::{
    Call, Interpose, Interposed, JobId, JobStore, StoreError, StoreFuture, Subscription,
};

/// A fault of one call to a store.
///
/// ```
/// use tower_async_job_testkit::Fault;
///
/// assert_ne!(Fault::Unavailable, Fault::Unacknowledged);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No fault: the next planned one is for a later call.
    None,
    /// The call fails as unavailable, without effect.
    Unavailable,
    /// The call takes effect, but its answer is lost: it fails as unavailable.
    Unacknowledged,
    /// The call has no effect, and never answers.
    Hangs,
    /// The call takes effect after this time.
    Late(Duration),
    /// The call fails as full, without effect.
    Full,
    /// The call fails as corrupt, without effect.
    Corrupt,
    /// The call fails with an unknown format, without effect.
    Unsupported,
    /// The call panics, without effect.
    Panics,
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
/// faulty.next(Call::Create, Fault::Unacknowledged);
/// let store = faulty.store();
/// let job = NewJob::new(JobId::random());
/// assert!(store.create(job.clone()).await.unwrap_err().is_unavailable());
/// assert!(store.create(job).await.is_ok(), "repeating it is right");
/// assert_eq!(faulty.calls(Call::Create), 2);
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct FaultyStore(Arc<Interposed<Connection>>);

#[derive(Debug)]
struct Connection {
    store: Arc<dyn JobStore>,
    plans: Mutex<HashMap<Call, Plan>>,
    loses_wakes: AtomicBool,
}

/// The calls of one kind.
#[derive(Debug, Default)]
struct Plan {
    made: usize,
    steps: VecDeque<Step>,
}

impl FaultyStore {
    /// Creates a connection to this store, without faults.
    pub fn new(store: Arc<dyn JobStore>) -> Self {
        Self(Arc::new(Interposed::new(Connection {
            store,
            plans: Mutex::default(),
            loses_wakes: AtomicBool::new(false),
        })))
    }

    /// Returns the store as seen through the connection.
    pub fn store(&self) -> Arc<dyn JobStore> {
        Arc::clone(&self.0) as _
    }

    /// Plans the fault of the next call of this kind that has none. Faults of one kind of call
    /// happen in the order in which they are planned.
    pub fn next(&self, call: Call, fault: Fault) {
        self.plan(call, fault, 1);
    }

    /// Plans the same fault for several calls of a kind.
    pub fn plan(&self, call: Call, fault: Fault, times: usize) {
        for _ in 0..times {
            self.add(call, Step::Fault(fault));
        }
    }

    /// Returns the number of calls of this kind whose future was polled.
    pub fn calls(&self, call: Call) -> usize {
        lock(&self.0.get_ref().plans)
            .get(&call)
            .map_or(0, |plan| plan.made)
    }

    /// Returns the number of all calls whose future was polled.
    pub fn all_calls(&self) -> usize {
        lock(&self.0.get_ref().plans)
            .values()
            .map(|plan| plan.made)
            .sum()
    }

    /// Holds the next call of this kind, so that others overtake it.
    pub fn hold(&self, call: Call) -> Gate {
        let (sender, receiver) = watch::channel(false);
        self.add(call, Step::Wait(receiver));
        Gate(sender)
    }

    /// Loses all wake-ups of subscriptions made from now on.
    pub fn lose_wakes(&self) {
        self.0.get_ref().loses_wakes.store(true, Ordering::SeqCst);
    }

    fn add(&self, call: Call, step: Step) {
        let mut plans = lock(&self.0.get_ref().plans);
        plans.entry(call).or_default().steps.push_back(step);
    }
}

impl Connection {
    /// Counts a call, and returns its fault.
    fn step(&self, call: Call) -> Step {
        let mut plans = lock(&self.plans);
        let plan = plans.entry(call).or_default();
        plan.made += 1;
        plan.steps.pop_front().unwrap_or(Step::Fault(Fault::None))
    }

    fn subscription(&self, subscribe: impl FnOnce() -> Subscription) -> Subscription {
        if self.loses_wakes.load(Ordering::SeqCst) {
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
            let fault = match self.step(call) {
                Step::Fault(fault) => fault,
                Step::Wait(mut gate) => {
                    // An error: the gate was dropped.
                    let _ = gate.wait_for(|open| *open).await;
                    Fault::None
                }
            };
            match fault {
                Fault::None => answer.await,
                Fault::Unavailable => Err(StoreError::unavailable("out of reach")),
                Fault::Unacknowledged => {
                    answer.await?;
                    Err(StoreError::unavailable("the answer is lost"))
                }
                Fault::Hangs => pending().await,
                Fault::Late(time) => {
                    tokio::time::sleep(time).await;
                    answer.await
                }
                Fault::Full => Err(StoreError::full()),
                Fault::Corrupt => Err(StoreError::corrupt("a length is wrong")),
                Fault::Unsupported => Err(StoreError::unsupported_version(99)),
                Fault::Panics => panic!("the store panics"),
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

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    fmt,
    future::ready,
    hash::Hash,
    time::{Duration, Instant},
};

use crate::{
    error::StoreError,
    sync::{Arc, Mutex, lock},
    wake::{Place, Wake},
};

/// The maximum number of passes during which a batch waits for further reads.
const MOST_PASSES: usize = 1000;

/// The time for which a batch waits for further reads, well below the timeouts of operations.
const LONGEST_GATHERING: Duration = Duration::from_secs(1);

/// The number of keys with which a batch does not wait.
const MANY_KEYS: usize = 256;

/// Reads that share round trips to a store: those that arrive while a batch is in flight form the
/// next one, and equal keys are read once.
///
/// A read never joins a batch that is in flight, so it never returns a state older than the call.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use std::{collections::HashMap, sync::Arc};
/// use tower_async_job_core::ReadBatch;
///
/// let batch = Arc::new(ReadBatch::<&str, usize>::default());
/// let driver = Arc::clone(&batch);
/// let driver = tokio::spawn(async move {
///     driver
///         .run(async |keys| {
///             let read = |key: &'static str| (key, key.len());
///             Ok(keys.into_iter().map(read).collect::<HashMap<_, _>>())
///         })
///         .await
/// });
/// assert_eq!(batch.read("four").await.unwrap(), Some(4));
/// driver.abort();
/// # }
/// ```
pub struct ReadBatch<K, V> {
    queue: Mutex<Queue<K, V>>,
}

struct Queue<K, V> {
    /// The next batch.
    next: Option<Next<K, V>>,
    /// The wake of drivers that wait for a batch; created by the first of them.
    arrival: Option<Arc<Wake>>,
    /// `None` before the first.
    drivers: Option<usize>,
}

struct Next<K, V> {
    keys: HashSet<K>,
    /// The number of reads in it.
    reads: usize,
    round: Arc<Round<K, V>>,
}

/// One batch.
struct Round<K, V> {
    /// The values found, once the batch is answered.
    found: Mutex<Option<Result<HashMap<K, V>, StoreError>>>,
    over: Arc<Wake>,
}

impl<K: Clone + Eq + Hash, V: Clone> ReadBatch<K, V> {
    /// Reads one value as part of a batch. Returns `None` if there is none. A read before anything
    /// [runs](Self::run) batches waits for that.
    ///
    /// # Errors
    ///
    /// Fails as its batch does, or with [`is_unavailable`](StoreError::is_unavailable) if nothing
    /// runs batches any more.
    pub async fn read(&self, key: K) -> Result<Option<V>, StoreError> {
        let (round, arrival) = {
            let mut queue = lock(&self.queue);
            if queue.drivers == Some(0) {
                return Err(stopped());
            }
            let next = queue.next.get_or_insert_with(|| Next {
                keys: HashSet::new(),
                reads: 0,
                round: Arc::default(),
            });
            next.keys.insert(key.clone());
            next.reads += 1;
            (Arc::clone(&next.round), queue.arrival.take())
        };
        if let Some(arrival) = arrival {
            arrival.wake_all();
        }
        Place::at(Arc::clone(&round.over)).await;
        match &*lock(&round.found) {
            Some(Ok(found)) => Ok(found.get(&key).cloned()),
            Some(Err(error)) => Err(error.clone()),
            None => Err(stopped()),
        }
    }

    /// Runs batches, one at a time: `fetch` returns the values that exist.
    ///
    /// The store spawns this future once for each batch that may be in flight at the same time.
    /// All reads fail once the last one is dropped.
    pub async fn run<F>(&self, fetch: impl FnMut(Vec<K>) -> F) -> Infallible
    where
        F: Future<Output = Result<HashMap<K, V>, StoreError>>,
    {
        self.run_gathering(|| ready(()), fetch).await
    }

    /// Runs batches like [`run`](Self::run), each of which begins once no further read has arrived
    /// during a `pass`. So the many waiters that one event wakes read once.
    ///
    /// A pass lets the other tasks of the runtime proceed, such as `tokio::task::yield_now`, and
    /// takes no time if there are none. A batch does not wait for more than a thousand passes or a
    /// second, or once it has 256 keys.
    pub async fn run_gathering<F, P>(
        &self,
        mut pass: impl FnMut() -> P,
        mut fetch: impl FnMut(Vec<K>) -> F,
    ) -> Infallible
    where
        F: Future<Output = Result<HashMap<K, V>, StoreError>>,
        P: Future<Output = ()>,
    {
        let driver = Driver::new(&self.queue);
        loop {
            let Next { keys, round, .. } = driver.next(&mut pass).await;
            let round = Running(round);
            let found = fetch(keys.into_iter().collect()).await;
            *lock(&round.0.found) = Some(found);
        }
    }
}

fn stopped() -> StoreError {
    StoreError::unavailable("the store has stopped to read")
}

/// A batch in flight. Dropping it wakes its readers, answered or not.
struct Running<K, V>(Arc<Round<K, V>>);

impl<K, V> Drop for Running<K, V> {
    fn drop(&mut self) {
        self.0.over.wake_all();
    }
}

struct Driver<'a, K, V>(&'a Mutex<Queue<K, V>>);

impl<'a, K, V> Driver<'a, K, V> {
    fn new(queue: &'a Mutex<Queue<K, V>>) -> Self {
        *lock(queue).drivers.get_or_insert_default() += 1;
        Self(queue)
    }

    /// Waits for the next batch.
    async fn next<P: Future<Output = ()>>(&self, pass: &mut impl FnMut() -> P) -> Next<K, V> {
        loop {
            self.gather(pass).await;
            let arrival = {
                let mut queue = lock(self.0);
                if let Some(next) = queue.next.take() {
                    return next;
                }
                Arc::clone(queue.arrival.get_or_insert_default())
            };
            Place::at(arrival).await;
        }
    }

    /// Waits while reads join the next batch. Other drivers may do so too, of which one takes it.
    async fn gather<P: Future<Output = ()>>(&self, pass: &mut impl FnMut() -> P) {
        let mut known = 0;
        let begun = Instant::now();
        for _ in 0..MOST_PASSES {
            let (reads, keys) = {
                let queue = lock(self.0);
                let next = queue.next.as_ref();
                next.map_or((0, 0), |next| (next.reads, next.keys.len()))
            };
            let is_late = begun.elapsed() >= LONGEST_GATHERING;
            if reads == known || keys >= MANY_KEYS || is_late {
                return;
            }
            known = reads;
            pass().await;
        }
    }
}

impl<K, V> Drop for Driver<'_, K, V> {
    fn drop(&mut self) {
        let abandoned = {
            let mut queue = lock(self.0);
            let left = queue.drivers.map_or(0, |drivers| drivers - 1);
            queue.drivers = Some(left);
            // Another driver may have been woken in vain, or may be about to be.
            match left {
                0 => queue.next.take(),
                _ => None,
            }
        };
        if let Some(next) = abandoned {
            next.round.over.wake_all();
        }
    }
}

impl<K, V> Default for ReadBatch<K, V> {
    fn default() -> Self {
        Self {
            queue: Mutex::new(Queue {
                next: None,
                arrival: None,
                drivers: None,
            }),
        }
    }
}

impl<K, V> Default for Round<K, V> {
    fn default() -> Self {
        Self {
            found: Mutex::default(),
            over: Arc::default(),
        }
    }
}

impl<K, V> fmt::Debug for ReadBatch<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadBatch").finish_non_exhaustive()
    }
}

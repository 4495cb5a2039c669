//! Operations that share statements: those that arrive while a commit is under way are performed
//! together by the next, and the first is performed alone.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::Arc,
};

use tokio::sync::{mpsc, oneshot};
use tower_async_job_core::{JobId, StoreError};

use crate::database::Database;

/// The maximum of one statement.
const BATCH: usize = 128;
const BATCH_BYTES: usize = 4 << 20;

/// The number of statements of one kind that may be under way at once. While one of them waits for
/// the disk, the next is performed. More were slower.
const LANES: usize = 2;

/// The number of operations that may wait in a lane.
const WAITING: usize = 8192;

/// An operation on one job, which may be repeated.
pub(crate) trait Operation: Send + Sync + Sized + 'static {
    type Answer: Send;

    fn id(&self) -> JobId;

    /// Returns whether it is in one statement after another with all others of its kind that are.
    fn takes_turns(&self) -> bool {
        false
    }

    /// Returns the bytes of its contents.
    fn bytes(&self) -> usize;

    /// Performs operations on different jobs by one statement, and returns the answer to each.
    fn perform(
        batch: &[Self],
        database: &Database,
    ) -> impl Future<Output = Result<Vec<Result<Self::Answer, StoreError>>, StoreError>> + Send;
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;
type Waiting<O> = (O, Reply<<O as Operation>::Answer>);

/// The queues of one kind of operation.
pub(crate) struct Batcher<O: Operation> {
    lanes: [mpsc::Sender<Waiting<O>>; LANES],
    database: Arc<Database>,
}

impl<O: Operation> Batcher<O> {
    /// Creates the queues, and the tasks that perform what is in them, until they are dropped.
    pub(crate) fn new(database: &Arc<Database>) -> Self {
        let lane = |_| {
            let (queue, arrivals) = mpsc::channel(WAITING);
            tokio::spawn(run(arrivals, Arc::clone(database)));
            queue
        };
        Self {
            lanes: std::array::from_fn(lane),
            database: Arc::clone(database),
        }
    }

    /// Performs an operation. Once polled, it is performed even if the future is dropped.
    pub(crate) async fn perform(&self, operation: O) -> Result<O::Answer, StoreError> {
        let (reply, answer) = oneshot::channel();
        // Operations on one job stay in order.
        let lane = match operation.takes_turns() {
            true => 0,
            false => operation.id().to_bits() as usize % LANES,
        };
        self.lanes[lane]
            .try_send((operation, reply))
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => {
                    StoreError::unavailable("too many operations wait for the store")
                }
                mpsc::error::TrySendError::Closed(_) => stopped(),
            })?;
        let answer = async { answer.await.unwrap_or_else(|_| Err(stopped())) };
        self.database.in_time(answer).await
    }
}

impl<O: Operation> fmt::Debug for Batcher<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher").finish_non_exhaustive()
    }
}

fn stopped() -> StoreError {
    StoreError::unavailable("the store has stopped")
}

async fn run<O: Operation>(mut arrivals: mpsc::Receiver<Waiting<O>>, database: Arc<Database>) {
    let mut waiting = VecDeque::new();
    loop {
        if waiting.is_empty() {
            match arrivals.recv().await {
                Some(first) => waiting.push_back(first),
                None => return,
            }
        }
        while waiting.len() < BATCH
            && let Ok(next) = arrivals.try_recv()
        {
            waiting.push_back(next);
        }
        let (batch, replies) = take(&mut waiting);
        answer(&batch, replies, &database).await;
    }
}

/// Takes operations on different jobs, up to the limits, though one is always taken.
fn take<O: Operation>(waiting: &mut VecDeque<Waiting<O>>) -> (Vec<O>, Vec<Reply<O::Answer>>) {
    let (mut batch, mut replies) = (Vec::new(), Vec::new());
    let (mut seen, mut bytes) = (HashSet::new(), 0_usize);
    let mut later = VecDeque::new();
    while let Some((operation, reply)) = waiting.pop_front() {
        bytes = bytes.saturating_add(operation.bytes());
        let has_room = batch.len() < BATCH && (batch.is_empty() || bytes <= BATCH_BYTES);
        if has_room && seen.insert(operation.id()) {
            batch.push(operation);
            replies.push(reply);
        } else {
            // Those on the same job stay in order, since both are left.
            seen.insert(operation.id());
            later.push_back((operation, reply));
        }
    }
    *waiting = later;
    (batch, replies)
}

async fn answer<O: Operation>(batch: &[O], replies: Vec<Reply<O::Answer>>, database: &Database) {
    let together = O::perform(batch, database).await;
    match together {
        Ok(answers) => {
            for (reply, answer) in replies.into_iter().zip(answers) {
                // An error: nothing waits for it any more.
                let _ = reply.send(answer);
            }
        }
        // One of them may be at fault.
        Err(error) if batch.len() > 1 && !error.is_unavailable() => {
            for (operation, reply) in batch.iter().zip(replies) {
                let alone = O::perform(std::slice::from_ref(operation), database).await;
                let alone = alone.and_then(|mut answers| answers.pop().unwrap_or(Err(stopped())));
                let _ = reply.send(alone);
            }
        }
        Err(error) => {
            for reply in replies {
                let _ = reply.send(Err(error.clone()));
            }
        }
    }
}

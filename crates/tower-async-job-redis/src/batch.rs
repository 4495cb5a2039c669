//! Changes that share scripts: those of one lane that arrive while others are under way are made
//! together by the next run of their script.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::join_all;
use redis::Value;
use tokio::{sync::oneshot, task::yield_now};
use tower_async_job_core::StoreError;

use crate::link::{Call, Link};

/// The maximum of one script, since the server does nothing else meanwhile.
const BATCH: usize = 64;
const BATCH_BYTES: usize = 1 << 20;

/// The number of batches of a lane that may be under way at once. While the server makes the changes
/// of one, the next reaches it.
const UNDER_WAY: usize = 2;

/// The number of changes that may wait in a lane.
const WAITING: usize = 8192;

type Answer = Result<Value, StoreError>;
type Waiting = (Call, oneshot::Sender<Answer>);

/// The lanes of changes. The changes of one job are all in one lane, whose batches are sent on one
/// connection.
pub(crate) struct Batcher {
    link: Arc<Link>,
    lanes: Vec<Arc<Lane>>,
}

#[derive(Default)]
struct Lane(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// The number of tasks that make changes of this lane.
    running: usize,
}

impl Batcher {
    pub(crate) fn new(link: &Arc<Link>, lanes: usize) -> Self {
        Self {
            link: Arc::clone(link),
            lanes: (0..lanes).map(|_| Arc::default()).collect(),
        }
    }

    /// Makes a change. Once polled, it is made even if the future is dropped.
    pub(crate) async fn perform(&self, lane: usize, call: Call) -> Answer {
        let lane = &self.lanes[lane];
        let (reply, answer) = oneshot::channel();
        {
            let mut queue = lane.lock();
            if queue.waiting.len() >= WAITING {
                let many = "too many changes wait for the server";
                return Err(StoreError::unavailable(many));
            }
            queue.waiting.push_back((call, reply));
            if queue.running < UNDER_WAY {
                queue.running += 1;
                tokio::spawn(run(Arc::clone(lane), Arc::clone(&self.link)));
            }
        }
        let stopped = || Err(StoreError::unavailable("the store has stopped"));
        answer.await.unwrap_or_else(|_| stopped())
    }
}

impl Lane {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes changes of different jobs, up to the limits, though one is always taken. Without any,
    /// the task of the caller is over.
    fn take(&self) -> Vec<Waiting> {
        let mut queue = self.lock();
        let (mut batch, mut later) = (Vec::new(), VecDeque::new());
        let (mut seen, mut bytes) = (HashSet::new(), 0_usize);
        while batch.len() < BATCH
            && let Some((call, reply)) = queue.waiting.pop_front()
        {
            bytes = bytes.saturating_add(call.bytes());
            let has_room = batch.is_empty() || bytes <= BATCH_BYTES;
            // Changes of one job stay in order.
            if seen.insert(call.first_key().to_vec()) && has_room {
                batch.push((call, reply));
            } else {
                later.push_back((call, reply));
            }
        }
        later.append(&mut queue.waiting);
        queue.waiting = later;
        if batch.is_empty() {
            queue.running -= 1;
        }
        batch
    }
}

/// Makes the changes of a lane until none is left.
async fn run(lane: Arc<Lane>, link: Arc<Link>) {
    loop {
        // Those who were just answered may have another change.
        yield_now().await;
        let batch = lane.take();
        if batch.is_empty() {
            return;
        }
        let mut parts: Vec<(Vec<Call>, Vec<oneshot::Sender<Answer>>)> = Vec::new();
        for (call, reply) in batch {
            let same = parts.iter_mut().find(|(calls, _)| calls[0].is_of(&call));
            match same {
                Some((calls, replies)) => {
                    calls.push(call);
                    replies.push(reply);
                }
                None => parts.push((vec![call], vec![reply])),
            }
        }
        let runs = parts.into_iter().map(|(calls, replies)| async {
            link.count(calls[0].name());
            let answers = link.change(&{ calls }).await;
            for (reply, answer) in replies.into_iter().zip(answers) {
                // An error: nothing waits for it any more.
                let _ = reply.send(answer);
            }
        });
        join_all(runs).await;
    }
}

impl fmt::Debug for Batcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher").finish_non_exhaustive()
    }
}

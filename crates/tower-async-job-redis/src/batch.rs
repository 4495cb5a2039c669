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

/// The changes that may wait in a lane: their number, and their bytes unless there is one only.
const WAITING: usize = 8192;
const WAITING_BYTES: usize = 64 << 20;

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
    /// The bytes of the waiting calls.
    bytes: usize,
    /// The first keys of the changes that are being made, of one job each.
    under_way: HashSet<Vec<u8>>,
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

    /// Makes a change. If the future is dropped, the change is made only if it has been sent.
    pub(crate) async fn perform(&self, lane: usize, call: Call) -> Answer {
        let lane = &self.lanes[lane];
        let (reply, answer) = oneshot::channel();
        {
            let mut queue = lane.lock();
            if queue.is_full(&call) {
                queue.forget();
            }
            if queue.is_full(&call) {
                let many = "too many changes wait for the server";
                return Err(StoreError::unavailable(many));
            }
            queue.bytes += call.bytes();
            queue.waiting.push_back((call, reply));
            if queue.running < UNDER_WAY {
                queue.running += 1;
                let running = Running {
                    lane: Arc::clone(lane),
                    keys: Vec::new(),
                    is_over: false,
                };
                tokio::spawn(run(running, Arc::clone(&self.link)));
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
}

impl Queue {
    fn is_full(&self, call: &Call) -> bool {
        let bytes = self.bytes.saturating_add(call.bytes());
        self.waiting.len() >= WAITING || !self.waiting.is_empty() && bytes > WAITING_BYTES
    }

    /// Forgets the changes that were given up before they were sent.
    fn forget(&mut self) {
        self.waiting.retain(|(_, reply)| !reply.is_closed());
        self.bytes = self.waiting.iter().map(|(call, _)| call.bytes()).sum();
    }

    /// Takes changes of different jobs, up to the limits, though one is always taken.
    fn take(&mut self) -> Vec<Waiting> {
        let (mut batch, mut later) = (Vec::new(), VecDeque::new());
        let (mut seen, mut bytes) = (HashSet::new(), 0_usize);
        while batch.len() < BATCH
            && let Some((call, reply)) = self.waiting.pop_front()
        {
            if reply.is_closed() {
                self.bytes -= call.bytes();
                continue;
            }
            let has_room = batch.is_empty() || bytes + call.bytes() <= BATCH_BYTES;
            // Changes of one job are made one after another.
            let key = call.first_key();
            let is_free = !self.under_way.contains(key);
            if seen.insert(key.to_vec()) && is_free && has_room {
                bytes += call.bytes();
                self.bytes -= call.bytes();
                batch.push((call, reply));
            } else {
                later.push_back((call, reply));
            }
        }
        later.append(&mut self.waiting);
        self.waiting = later;
        batch
    }
}

/// A task that makes changes of a lane. If it ends early, as its runtime does, the lane has another.
struct Running {
    lane: Arc<Lane>,
    /// The first keys of the changes that it makes.
    keys: Vec<Vec<u8>>,
    is_over: bool,
}

impl Running {
    /// Takes the next changes. Without any, the task is over.
    fn take(&mut self) -> Vec<Waiting> {
        let mut queue = self.lane.lock();
        for key in self.keys.drain(..) {
            queue.under_way.remove(&key);
        }
        let batch = queue.take();
        let keys = batch.iter().map(|(call, _)| call.first_key().to_vec());
        self.keys.extend(keys);
        queue.under_way.extend(self.keys.iter().cloned());
        if batch.is_empty() {
            queue.running -= 1;
            self.is_over = true;
        }
        batch
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut queue = self.lane.lock();
        for key in &self.keys {
            queue.under_way.remove(key);
        }
        queue.running -= 1;
    }
}

/// Makes the changes of a lane until none is left.
async fn run(mut running: Running, link: Arc<Link>) {
    loop {
        // Those who were just answered may have another change.
        yield_now().await;
        let batch = running.take();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::START;

    fn waiting(queue: &mut Queue, key: &str, bytes: usize) -> oneshot::Receiver<Answer> {
        let call = Call::new(&START, [key], 0).arg(vec![b'x'; bytes]);
        let (reply, answer) = oneshot::channel();
        queue.bytes += call.bytes();
        queue.waiting.push_back((call, reply));
        answer
    }

    fn keys(batch: &[Waiting]) -> Vec<&str> {
        let keys = batch.iter().map(|(call, _)| call.first_key());
        keys.map(|key| str::from_utf8(key).unwrap()).collect()
    }

    fn running(lane: &Arc<Lane>) -> Running {
        lane.lock().running += 1;
        Running {
            lane: Arc::clone(lane),
            keys: Vec::new(),
            is_over: false,
        }
    }

    #[test]
    fn changes_of_one_job_are_made_one_after_another() {
        let lane = Arc::<Lane>::default();
        let answers = ["a", "a", "b"].map(|key| waiting(&mut lane.lock(), key, 1));
        let (mut first, mut second) = (running(&lane), running(&lane));
        assert_eq!(keys(&first.take()), ["a", "b"]);
        // The other change of it waits, though there is a task for it.
        assert!(second.take().is_empty());
        assert_eq!(lane.lock().running, 1);
        assert_eq!(keys(&first.take()), ["a"]);
        assert!(first.take().is_empty());
        let queue = lane.lock();
        assert_eq!((queue.running, queue.bytes), (0, 0));
        assert!(queue.under_way.is_empty());
        drop(answers);
    }

    #[test]
    fn no_change_overtakes_one_of_its_job_that_has_no_room() {
        let mut queue = Queue::default();
        let sizes = [("a", 1), ("b", BATCH_BYTES), ("b", 1), ("c", 1)];
        let answers = sizes.map(|(key, bytes)| waiting(&mut queue, key, bytes));
        assert_eq!(keys(&queue.take()), ["a", "c"]);
        assert_eq!(keys(&queue.take()), ["b"]);
        assert_eq!(keys(&queue.take()), ["b"]);
        drop(answers);
    }

    #[test]
    fn a_change_that_was_given_up_is_not_sent_and_takes_no_room() {
        let mut queue = Queue::default();
        let given_up = waiting(&mut queue, "a", WAITING_BYTES);
        let call = Call::new(&START, ["b"], 0);
        assert!(queue.is_full(&call));
        drop(given_up);
        queue.forget();
        assert!(!queue.is_full(&call));
        drop(waiting(&mut queue, "a", 1));
        let answer = waiting(&mut queue, "b", 1);
        assert_eq!(keys(&queue.take()), ["b"]);
        assert_eq!(queue.bytes, 0);
        drop(answer);
    }

    #[test]
    fn a_task_that_ends_early_leaves_the_lane_usable() {
        let lane = Arc::<Lane>::default();
        let answer = waiting(&mut lane.lock(), "a", 1);
        let mut task = running(&lane);
        assert_eq!(task.take().len(), 1);
        drop(task);
        let queue = lane.lock();
        assert!(queue.running == 0 && queue.under_way.is_empty());
        drop(answer);
    }
}

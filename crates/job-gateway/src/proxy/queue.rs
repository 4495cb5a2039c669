//! The queue before a server that takes a limited number of requests at once.
//!
//! Principals take turns: each place that becomes free is for the principal whose last turn is the
//! longest ago, and within a principal for the request that came first. One principal's requests thus
//! never delay another's by more than one place. Requests without a principal share one line.
//!
//! A request that is dropped while it waits leaves the queue at once.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

#[cfg(test)]
mod tests;

/// The places of a server and the requests that wait for them. Clones share them.
#[derive(Clone)]
pub(crate) struct Queue {
    state: Arc<Mutex<State>>,
}

struct State {
    /// The number of places, and of those that are taken. While one is free, no request waits. After
    /// a change, more may be taken than there are.
    places: usize,
    taken: usize,
    waiting: usize,
    /// The greatest number of requests that wait.
    limit: usize,
    /// The number of the next turn and of the next request.
    next: u64,
    /// The principals with waiting requests, in the order of their turns.
    turns: BTreeMap<u64, Key>,
    lines: HashMap<Key, Line>,
}

type Key = Option<Arc<str>>;

/// The waiting requests of one principal, never none, in the order of their arrival.
struct Line {
    turn: u64,
    requests: BTreeMap<u64, oneshot::Sender<()>>,
}

/// The refusal of a request because as many wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue before the server is full")
    }
}

impl std::error::Error for Full {}

impl Queue {
    /// Creates a queue for `concurrency` requests at once, at least one, and `waiting` others.
    pub(crate) fn new(concurrency: usize, waiting: usize) -> Self {
        let state = State {
            places: concurrency.max(1),
            taken: 0,
            waiting: 0,
            limit: waiting,
            next: 0,
            turns: BTreeMap::new(),
            lines: HashMap::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Changes the number of places and of those that may wait. Requests that have a place keep it, and
    /// those that wait stay.
    pub(crate) fn resize(&self, concurrency: usize, waiting: usize) {
        let mut state = self.lock();
        state.places = concurrency.max(1);
        state.limit = waiting;
        state.admit();
    }

    /// Takes a place if one is free. No request waits then.
    pub(crate) fn enter_now(&self) -> Option<Place> {
        let has_taken = self.lock().take();
        has_taken.then(|| Place(self.clone()))
    }

    /// Waits for a place. Dropping the future leaves the queue, or frees the place.
    ///
    /// # Errors
    ///
    /// Fails at once if as many requests wait as may.
    pub(crate) async fn enter(&self, principal: Option<&str>) -> Result<Place, Full> {
        let waiting = {
            let mut state = self.lock();
            if state.take() {
                return Ok(Place(self.clone()));
            }
            let key: Key = principal.map(Arc::from);
            let (number, admitted) = state.wait(key.clone())?;
            Waiting {
                queue: self,
                key,
                number,
                admitted,
                entered: false,
            }
        };
        Ok(waiting.place().await)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Queue")
            .field("places", &state.places)
            .field("taken", &state.taken)
            .field("waiting", &state.waiting)
            .finish_non_exhaustive()
    }
}

impl State {
    /// Takes a place if one is free. Returns whether one was.
    fn take(&mut self) -> bool {
        let is_free = self.taken < self.places;
        self.taken += usize::from(is_free);
        is_free
    }

    /// Adds a request to the line of its principal.
    fn wait(&mut self, key: Key) -> Result<(u64, oneshot::Receiver<()>), Full> {
        if self.waiting >= self.limit {
            return Err(Full);
        }
        let (admit, admitted) = oneshot::channel();
        let number = self.number();
        let turns = &mut self.turns;
        let line = self.lines.entry(key).or_insert_with_key(|key| {
            turns.insert(number, key.clone());
            Line {
                turn: number,
                requests: BTreeMap::new(),
            }
        });
        line.requests.insert(number, admit);
        self.waiting += 1;
        Ok((number, admitted))
    }

    /// Frees a place, and hands it to the request whose turn it is.
    fn release(&mut self) {
        self.taken -= 1;
        self.admit();
    }

    /// Hands the places that are free to the requests whose turn it is.
    fn admit(&mut self) {
        while self.taken < self.places
            && let Some((_, key)) = self.turns.pop_first()
        {
            let turn = self.number();
            let line = self.lines.get_mut(&key).expect("a turn has a line");
            let (_, admit) = line.requests.pop_first().expect("a line has a request");
            match line.requests.is_empty() {
                true => drop(self.lines.remove(&key)),
                false => {
                    line.turn = turn;
                    self.turns.insert(turn, key);
                }
            }
            self.waiting -= 1;
            self.taken += 1;
            // The request is there: it leaves its line, under the lock, before it drops its end.
            let _ = admit.send(());
        }
    }

    /// Removes a request from its line. Returns whether it was there.
    fn leave(&mut self, key: &Key, number: u64) -> bool {
        let Some(line) = self.lines.get_mut(key) else {
            return false;
        };
        if line.requests.remove(&number).is_none() {
            return false;
        }
        if line.requests.is_empty() {
            self.turns.remove(&line.turn);
            self.lines.remove(key);
        }
        self.waiting -= 1;
        true
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// A request in the queue. It has a place once it is in no line.
struct Waiting<'a> {
    queue: &'a Queue,
    key: Key,
    number: u64,
    admitted: oneshot::Receiver<()>,
    /// True once its place has been passed on to the caller.
    entered: bool,
}

impl Waiting<'_> {
    async fn place(mut self) -> Place {
        let admitted = (&mut self.admitted).await;
        admitted.expect("a request leaves its line by admission");
        self.entered = true;
        Place(self.queue.clone())
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.entered {
            return;
        }
        let mut state = self.queue.lock();
        if !state.leave(&self.key, self.number) {
            state.release();
        }
    }
}

/// A place at the server, which is free again once this is dropped.
#[derive(Debug)]
#[must_use = "dropping it frees the place"]
pub(crate) struct Place(Queue);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.lock().release();
    }
}

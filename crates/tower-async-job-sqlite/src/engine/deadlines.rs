//! The timeouts of calls.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use tower_async_job_core::StoreError;

use super::slot::Call;

/// The interval between two checks, while there are calls.
const INTERVAL: Duration = Duration::from_millis(250);

/// The calls in flight, in the order of their deadlines.
///
/// They are measured by a thread of their own, whatever the disk does, and whatever time the
/// caller's runtime shows.
#[derive(Default)]
pub(crate) struct Deadlines {
    calls: Mutex<Calls>,
    arrival: Condvar,
}

#[derive(Default)]
struct Calls {
    queue: VecDeque<(Instant, Weak<dyn Call>)>,
    is_closed: bool,
}

impl Deadlines {
    /// Adds a call. All calls have the same timeout.
    pub(crate) fn add(&self, call: Weak<dyn Call>, timeout: Duration) {
        let mut calls = self.lock();
        calls.queue.push_back((Instant::now() + timeout, call));
        if calls.queue.len() == 1 {
            drop(calls);
            self.arrival.notify_one();
        }
    }

    /// Fails calls whose deadline has passed with an error about them, until it is closed.
    pub(crate) fn run(&self, error: impl Fn() -> StoreError) {
        let mut calls = self.lock();
        while !calls.is_closed {
            if calls.queue.is_empty() {
                calls = self
                    .arrival
                    .wait(calls)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (guard, _) = self
                .arrival
                .wait_timeout(calls, INTERVAL)
                .unwrap_or_else(PoisonError::into_inner);
            calls = guard;
            let late = calls.take_late();
            drop(calls);
            for call in late {
                call.fail(error());
            }
            calls = self.lock();
        }
    }

    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.arrival.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Calls {
    /// Removes the first calls that are answered or late, and returns the late ones.
    fn take_late(&mut self) -> Vec<std::sync::Arc<dyn Call>> {
        let now = Instant::now();
        let mut late = Vec::new();
        while let Some((deadline, call)) = self.queue.front() {
            match call.upgrade().filter(|call| !call.is_answered()) {
                None => {}
                Some(call) if *deadline <= now => late.push(call),
                Some(_) => break,
            }
            self.queue.pop_front();
        }
        late
    }
}

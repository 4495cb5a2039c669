use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use super::Jobs;
use crate::{
    JobId,
    sync::{Arc, Mutex, lock},
};

/// Those who wait for the end of one job.
///
/// It knows nothing of the job. That nobody misses the end rests on an order on either side: a
/// waiter registers and *then* looks whether the job is pending; who ends a job stores that and
/// *then* wakes. Whichever way the two interleave, the waiter either sees the end or is woken.
#[derive(Default)]
pub(super) struct Wake {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    // Ordered, so that those who came first are woken first.
    wakers: BTreeMap<u64, Waker>,
}

impl Wake {
    /// Registers a waiter, anew if it has a ticket already; returns its ticket.
    fn register(&self, ticket: Option<u64>, waker: &Waker) -> u64 {
        let mut waiting = lock(&self.waiting);
        let ticket = ticket.unwrap_or(waiting.next);
        waiting.next = waiting.next.max(ticket + 1);
        match waiting.wakers.get_mut(&ticket) {
            Some(known) => known.clone_from(waker),
            None => {
                waiting.wakers.insert(ticket, waker.clone());
            }
        }
        ticket
    }

    fn deregister(&self, ticket: u64) {
        let waker = lock(&self.waiting).wakers.remove(&ticket);
        // Foreign code: not to be run under the lock.
        drop(waker);
    }

    /// Wakes everybody. To be called after the end is stored, and with no lock held.
    pub(super) fn wake_all(&self) {
        let wakers = std::mem::take(&mut lock(&self.waiting).wakers);
        for waker in wakers.into_values() {
            waker.wake();
        }
    }
}

impl fmt::Debug for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wake").finish_non_exhaustive()
    }
}

/// Resolves when the job is no longer pending, or is not there. Dropping it frees its place.
#[must_use]
pub(super) struct Ended<'a> {
    jobs: &'a Jobs,
    id: JobId,
    place: Option<(Arc<Wake>, u64)>,
}

impl<'a> Ended<'a> {
    pub(super) fn new(jobs: &'a Jobs, id: JobId) -> Self {
        Self {
            jobs,
            id,
            place: None,
        }
    }

    /// Makes sure that the end will wake the task. False if there is nothing to wait for.
    fn subscribe(&mut self, waker: &Waker) -> bool {
        match &self.place {
            Some((wake, ticket)) => {
                wake.register(Some(*ticket), waker);
            }
            None => {
                let Some(wake) = self.jobs.wake_of(&self.id) else {
                    return false;
                };
                let ticket = wake.register(None, waker);
                self.place = Some((wake, ticket));
            }
        }
        true
    }

    fn is_pending(&self) -> bool {
        self.jobs.is_pending(&self.id)
    }
}

impl Future for Ended<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        #[cfg(http_polling_loom)]
        if self.jobs.looks_before_subscribing {
            // The wrong order, for the test that shows it to be wrong.
            return match self.is_pending() && self.subscribe(context.waker()) {
                true => Poll::Pending,
                false => Poll::Ready(()),
            };
        }
        if self.subscribe(context.waker()) && self.is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        if let Some((wake, ticket)) = self.place.take() {
            wake.deregister(ticket);
        }
    }
}

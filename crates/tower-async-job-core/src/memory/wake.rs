use std::{collections::BTreeMap, fmt, task::Waker};

use crate::sync::{Mutex, lock};

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
    pub(super) fn register(&self, ticket: Option<u64>, waker: &Waker) -> u64 {
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

    pub(super) fn deregister(&self, ticket: u64) {
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

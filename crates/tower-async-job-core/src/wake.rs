use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use crate::sync::{Arc, Mutex, lock};

/// An event that happens once, and its waiters.
///
/// No waiter misses the event, whether it polls before or after: the same lock guards the event and
/// the wakers. A waiter that obtained the wake before the event needs no other check.
#[derive(Default)]
pub(crate) struct Wake {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// The next ticket, or [`WOKEN`].
    next: u64,
    wakers: Wakers,
}

/// The value of `next` once the event has happened.
const WOKEN: u64 = u64::MAX;

/// Wakers by ticket. Usually there is one, which needs no allocation.
enum Wakers {
    One(u64, Waker),
    /// Ordered, so that the first waiters are woken first.
    #[expect(clippy::box_collection, reason = "a single waker takes less beside it")]
    Others(Option<Box<BTreeMap<u64, Waker>>>),
}

impl Wake {
    /// Returns whether the event has happened. Otherwise registers the waiter, and assigns a ticket
    /// if it has none.
    pub(crate) fn poll(&self, ticket: &mut Option<u64>, waker: &Waker) -> Poll<()> {
        let mut waiting = lock(&self.waiting);
        if waiting.next == WOKEN {
            return Poll::Ready(());
        }
        let ticket = *ticket.get_or_insert_with(|| {
            waiting.next += 1;
            waiting.next
        });
        match waiting.wakers.get_mut(ticket) {
            Some(known) => known.clone_from(waker),
            None => waiting.wakers.insert(ticket, waker.clone()),
        }
        Poll::Pending
    }

    pub(crate) fn deregister(&self, ticket: u64) {
        let waker = lock(&self.waiting).wakers.remove(ticket);
        // Foreign code must not run under the lock.
        drop(waker);
    }

    /// Wakes all present and future waiters. Call it after the event is stored, without holding a
    /// lock.
    pub(crate) fn wake_all(&self) {
        let wakers = {
            let mut waiting = lock(&self.waiting);
            waiting.next = WOKEN;
            std::mem::take(&mut waiting.wakers)
        };
        wakers.wake();
    }

    /// Wakes the present waiters, and forgets the event. It proves that the model checker finds
    /// this fault.
    #[cfg(http_polling_loom)]
    pub(crate) fn wake_and_forget(&self) {
        let wakers = std::mem::take(&mut lock(&self.waiting).wakers);
        wakers.wake();
    }
}

/// A waiter of a [`Wake`], which resolves once the event has happened. Dropping it frees its place.
pub(crate) struct Place {
    wake: Arc<Wake>,
    /// Assigned by the first poll.
    ticket: Option<u64>,
}

impl Place {
    pub(crate) fn at(wake: Arc<Wake>) -> Self {
        Self { wake, ticket: None }
    }

    pub(crate) fn is_at(&self, wake: &Arc<Wake>) -> bool {
        Arc::ptr_eq(&self.wake, wake)
    }
}

impl Future for Place {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { wake, ticket } = &mut *self;
        wake.poll(ticket, context.waker())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.wake.deregister(ticket);
        }
    }
}

impl Default for Wakers {
    fn default() -> Self {
        Self::Others(None)
    }
}

impl Wakers {
    fn get_mut(&mut self, ticket: u64) -> Option<&mut Waker> {
        match self {
            Self::One(known, waker) => (*known == ticket).then_some(waker),
            Self::Others(wakers) => wakers.as_mut()?.get_mut(&ticket),
        }
    }

    /// Adds a waker with a new ticket.
    fn insert(&mut self, ticket: u64, waker: Waker) {
        *self = match std::mem::take(self) {
            Self::One(first, first_waker) => {
                let wakers = BTreeMap::from([(first, first_waker), (ticket, waker)]);
                Self::Others(Some(Box::new(wakers)))
            }
            Self::Others(None) => Self::One(ticket, waker),
            Self::Others(Some(mut wakers)) => {
                wakers.insert(ticket, waker);
                Self::Others(Some(wakers))
            }
        };
    }

    fn remove(&mut self, ticket: u64) -> Option<Waker> {
        if let Self::Others(wakers) = self {
            return wakers.as_mut()?.remove(&ticket);
        }
        self.get_mut(ticket)?;
        match std::mem::take(self) {
            Self::One(_, waker) => Some(waker),
            Self::Others(_) => None,
        }
    }

    /// Wakes all, in the order of their arrival.
    fn wake(self) {
        match self {
            Self::One(_, waker) => waker.wake(),
            Self::Others(wakers) => {
                for waker in wakers.into_iter().flat_map(|wakers| wakers.into_values()) {
                    waker.wake();
                }
            }
        }
    }
}

impl fmt::Debug for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wake").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(http_polling_loom)))]
mod tests {
    use std::task;

    use super::*;
    use crate::sync::Arc;

    /// A waker that records its number.
    struct Numbered(u64, Arc<Mutex<Vec<u64>>>);

    impl task::Wake for Numbered {
        fn wake(self: Arc<Self>) {
            lock(&self.1).push(self.0);
        }
    }

    /// Returns the waiters that are woken, in order, after some have left.
    fn woken(waiters: u64, left: &[usize]) -> Vec<u64> {
        let (wake, woken) = (Wake::default(), Arc::default());
        let mut tickets = Vec::new();
        for number in 0..waiters {
            let waker = Waker::from(Arc::new(Numbered(number, Arc::clone(&woken))));
            let mut ticket = None;
            assert_eq!(wake.poll(&mut ticket, &waker), Poll::Pending);
            tickets.push(ticket.unwrap());
        }
        for number in left {
            wake.deregister(tickets.get(*number).copied().unwrap_or(99));
        }
        wake.wake_all();
        let woken = lock(&woken);
        woken.clone()
    }

    #[test]
    fn waiters_are_woken_in_the_order_in_which_they_came() {
        assert_eq!(woken(1, &[]), [0]);
        assert_eq!(woken(2, &[]), [0, 1]);
        assert_eq!(woken(9, &[]), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn a_waiter_that_has_left_is_not_woken() {
        assert_eq!(woken(1, &[0]), [0; 0]);
        assert_eq!(woken(1, &[1]), [0]);
        assert_eq!(woken(2, &[0]), [1]);
        assert_eq!(woken(3, &[1, 0]), [2]);
        assert_eq!(woken(2, &[0, 1]), [0; 0]);
    }

    #[test]
    fn who_comes_after_the_event_does_not_wait() {
        let wake = Wake::default();
        wake.wake_all();
        assert_eq!(wake.poll(&mut None, Waker::noop()), Poll::Ready(()));
    }

    #[test]
    fn one_waiter_takes_no_more_than_40_bytes() {
        assert!(size_of::<Wake>() <= 40, "{}", size_of::<Wake>());
    }
}

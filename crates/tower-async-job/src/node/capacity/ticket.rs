//! Places in the queue.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// A place in a queue.
pub(super) struct Ticket {
    pub(super) number: u64,
    state: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    granted: bool,
    waker: Option<Waker>,
}

impl Ticket {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            state: Mutex::default(),
        }
    }

    pub(super) fn grant(&self) -> Option<Waker> {
        let mut waiting = self.waiting();
        waiting.granted = true;
        waiting.waker.take()
    }

    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.waiting();
        if waiting.granted {
            return Poll::Ready(());
        }
        waiting.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn is_granted(&self) -> bool {
        self.waiting().granted
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

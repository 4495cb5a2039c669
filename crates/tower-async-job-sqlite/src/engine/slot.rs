//! Answers that another thread gives.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use tower_async_job_core::StoreError;

enum State<T> {
    Waiting(Option<Waker>),
    Answered(Result<T, StoreError>),
    /// The answer was taken, or its future dropped.
    Gone,
}

struct Slot<T>(Mutex<State<T>>);

/// The right to answer. Dropping it answers that the store is unavailable.
pub(crate) struct Reply<T>(Arc<Slot<T>>);

/// The future of an answer. Dropping it abandons the call.
pub(crate) struct Answer<T>(Arc<Slot<T>>);

pub(crate) fn slot<T>() -> (Reply<T>, Answer<T>) {
    let slot = Arc::new(Slot(Mutex::new(State::Waiting(None))));
    (Reply(Arc::clone(&slot)), Answer(slot))
}

/// A call that can be failed from outside.
pub(crate) trait Call: Send + Sync {
    fn is_answered(&self) -> bool;
    fn fail(&self, error: StoreError);
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, answer: Result<T, StoreError>) {
        let waker = {
            let mut state = self.lock();
            let State::Waiting(waker) = &mut *state else {
                return;
            };
            let waker = waker.take();
            *state = State::Answered(answer);
            waker
        };
        if let Some(waker) = waker {
            // A runtime that panics must not end the thread that answers others too.
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
    }
}

impl<T: Send> Call for Slot<T> {
    fn is_answered(&self) -> bool {
        !matches!(*self.lock(), State::Waiting(_))
    }

    fn fail(&self, error: StoreError) {
        self.answer(Err(error));
    }
}

impl<T> Reply<T> {
    pub(crate) fn send(self, answer: Result<T, StoreError>) {
        self.0.answer(answer);
    }

    /// Returns whether nothing waits for the answer.
    pub(crate) fn is_abandoned(&self) -> bool {
        !matches!(*self.0.lock(), State::Waiting(_))
    }
}

impl<T: Send + 'static> Reply<T> {
    pub(crate) fn call(&self) -> Weak<dyn Call> {
        let call: Arc<dyn Call> = self.0.clone();
        Arc::downgrade(&call)
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        let stopped = || StoreError::unavailable("the store has stopped");
        self.0.answer(Err(stopped()));
    }
}

impl<T> Future for Answer<T> {
    type Output = Result<T, StoreError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.lock();
        match &mut *state {
            State::Waiting(Some(waker)) => waker.clone_from(context.waker()),
            State::Waiting(waker) => *waker = Some(context.waker().clone()),
            State::Answered(_) => {
                if let State::Answered(answer) = std::mem::replace(&mut *state, State::Gone) {
                    return Poll::Ready(answer);
                }
            }
            State::Gone => {}
        }
        Poll::Pending
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        let state = std::mem::replace(&mut *self.0.lock(), State::Gone);
        // Foreign code must not run under the lock.
        drop(state);
    }
}

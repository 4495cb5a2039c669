//! An event that happens once and can be awaited.

use std::{
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::sync::{Notify, futures::Notified};

#[derive(Debug, Default)]
pub(crate) struct Signal {
    set: AtomicBool,
    waiting: Notify,
}

impl Signal {
    pub(crate) fn set(&self) {
        self.set.store(true, Ordering::Release);
        self.waiting.notify_waiters();
    }

    pub(crate) fn is_set(&self) -> bool {
        self.set.load(Ordering::Acquire)
    }

    /// Waits for the signal. Cancel safe.
    pub(crate) fn wait(&self) -> Wait<'_> {
        Wait {
            signal: self,
            notified: self.waiting.notified(),
        }
    }

    /// Returns the output of a future, or `None` if the signal is set first. The future takes
    /// precedence.
    pub(crate) fn or<F: Future>(&self, future: F) -> Or<'_, F> {
        Or {
            signal: self.wait(),
            future,
        }
    }
}

// Named futures, since an `async fn` would store its arguments twice.
pin_project! {
    /// Resolves once a [`Signal`] is set.
    #[must_use = "futures do nothing unless polled"]
    pub(crate) struct Wait<'a> {
        signal: &'a Signal,
        #[pin]
        notified: Notified<'a>,
    }
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        // Subscribes before it reads the flag, so that a signal in between is not missed.
        match this.notified.poll(cx) {
            Poll::Pending if !this.signal.is_set() => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }
}

pin_project! {
    /// A future that yields to a [`Signal`].
    #[must_use = "futures do nothing unless polled"]
    pub(crate) struct Or<'a, F> {
        #[pin]
        signal: Wait<'a>,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Or<'_, F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.future.poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => this.signal.poll(cx).map(|()| None),
        }
    }
}

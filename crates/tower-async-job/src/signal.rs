//! Something that happens once, and is waited for.

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

    /// Waits for it; cancel safe.
    pub(crate) fn wait(&self) -> Wait<'_> {
        Wait {
            signal: self,
            notified: self.waiting.notified(),
        }
    }

    /// Returns what a future gives, or `None` if the signal is there before. The future takes
    /// precedence.
    pub(crate) fn or<F: Future>(&self, future: F) -> Or<'_, F> {
        Or {
            signal: self.wait(),
            future,
        }
    }
}

// Named futures and no `async fn`, which would keep what is passed to it a second time.
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
        // Subscribed before the flag is looked at, so that a signal in between is not missed.
        match this.notified.poll(cx) {
            Poll::Pending if !this.signal.is_set() => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }
}

pin_project! {
    /// A future that gives way to a [`Signal`].
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

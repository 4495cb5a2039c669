//! Something that happens once, and is waited for.

use std::{
    future::poll_fn,
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    task::Poll,
};

use tokio::sync::Notify;

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

    /// Cancel safe.
    pub(crate) async fn wait(&self) {
        let mut notified = pin!(self.waiting.notified());
        // Enabled before the flag is looked at, so that a signal in between is not missed.
        notified.as_mut().enable();
        if !self.is_set() {
            notified.await;
        }
    }

    /// What a future gives, unless the signal is there before. The future goes first.
    pub(crate) async fn or<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let (mut signal, mut future) = (pin!(self.wait()), pin!(future));
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => signal.as_mut().poll(cx).map(|()| None),
        })
        .await
    }
}

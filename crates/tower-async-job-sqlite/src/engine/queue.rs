//! A bounded queue between threads.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// The capacity of a queue, or of one take from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) items: usize,
    /// The maximum bytes, though one item is always allowed.
    pub(crate) bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    arrival: Condvar,
    limits: Limits,
}

#[derive(Debug)]
struct Inner<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    is_closed: bool,
}

/// Items that were taken from a queue, up to limits.
#[derive(Debug)]
pub(crate) struct Batch<T> {
    pub(crate) items: Vec<T>,
    bytes: usize,
    limits: Limits,
}

impl<T> Batch<T> {
    fn new(limits: Limits) -> Self {
        Self {
            items: Vec::new(),
            bytes: 0,
            limits,
        }
    }

    /// Creates a batch of these items, to which a queue adds none.
    pub(crate) fn closed(items: Vec<T>) -> Self {
        let limits = Limits { items: 0, bytes: 0 };
        Self {
            items,
            ..Self::new(limits)
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        let Limits { items, bytes: most } = self.limits;
        self.items.len() < items && (self.items.is_empty() || self.bytes + bytes <= most)
    }
}

/// The reason why an item was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Closed,
}

impl<T> Queue<T> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            inner: Mutex::new(Inner {
                items: VecDeque::new(),
                bytes: 0,
                is_closed: false,
            }),
            arrival: Condvar::new(),
            limits,
        }
    }

    pub(crate) fn push(&self, item: T, bytes: usize) -> Result<(), Refused> {
        let mut inner = self.lock();
        if inner.is_closed {
            return Err(Refused::Closed);
        }
        let is_full = inner.items.len() >= self.limits.items
            || inner.bytes.saturating_add(bytes) > self.limits.bytes && !inner.items.is_empty();
        if is_full {
            return Err(Refused::Full);
        }
        inner.items.push_back((item, bytes));
        inner.bytes += bytes;
        drop(inner);
        self.arrival.notify_one();
        Ok(())
    }

    /// Waits for items, and takes some. Takes none once the queue is closed and empty.
    pub(crate) fn take(&self, limits: Limits) -> Batch<T> {
        let mut inner = self.lock();
        while inner.items.is_empty() && !inner.is_closed {
            inner = self
                .arrival
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let mut batch = Batch::new(limits);
        inner.move_to(&mut batch);
        batch
    }

    /// Returns whether no items wait.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().items.is_empty()
    }

    /// Adds items that have arrived to a batch that has room for them.
    pub(crate) fn take_more(&self, batch: &mut Batch<T>) {
        self.lock().move_to(batch);
    }

    /// Closes the queue: what is in it can still be taken.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.arrival.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Inner<T> {
    fn move_to(&mut self, batch: &mut Batch<T>) {
        while let Some((_, bytes)) = self.items.front()
            && batch.has_room(*bytes)
            && let Some((item, bytes)) = self.items.pop_front()
        {
            self.bytes -= bytes;
            batch.bytes += bytes;
            batch.items.push(item);
        }
    }
}

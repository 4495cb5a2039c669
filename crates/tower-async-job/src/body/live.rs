//! Bodies that are made while they are sent.

use std::{
    fmt,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;

use crate::panics;

/// A source of the parts of a body. Dropping it, or the part in the making, ends its work.
pub(crate) trait Source: Send {
    /// Makes the next part, once the connection asks for it.
    fn next(self: Box<Self>) -> Part;
}

/// A part in the making, with the source of the one after it. `None` is the end of the body.
pub(crate) type Part = Pin<Box<dyn Future<Output = Option<(Bytes, Box<dyn Source>)>> + Send>>;

/// A body of unknown length. Each part is made when the connection asks for it, so that none are
/// queued for a slow one.
#[derive(Default)]
pub(super) struct Live {
    data: Bytes,
    /// `None` once the body has ended. Never locked: it only makes the body `Sync`.
    next: Mutex<Option<Part>>,
    has_next: bool,
}

impl Live {
    /// Creates a body with its first part.
    pub(super) fn new(first: Bytes, source: Box<dyn Source>) -> Self {
        Self {
            data: first,
            next: Mutex::new(Some(source.next())),
            has_next: true,
        }
    }

    /// Returns the available part, which is empty at the end. The caller takes from it.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<&mut Bytes> {
        let next = self.next.get_mut().unwrap_or_else(PoisonError::into_inner);
        while self.data.is_empty()
            && let Some(part) = next
        {
            let made = ready!(panics::poll_catching(part, cx)).unwrap_or_else(|payload| {
                panics::log("a live body", payload);
                None
            });
            *next = made.map(|(data, source)| {
                self.data = data;
                source.next()
            });
            self.has_next = next.is_some();
        }
        Poll::Ready(&mut self.data)
    }

    pub(super) fn is_over(&self) -> bool {
        self.data.is_empty() && !self.has_next
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

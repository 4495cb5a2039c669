//! Bodies of results that are stored in chunks.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tower_async_job_core::{JobStore, ResultRef, StoreError, StoreFuture};

use crate::panics;

/// A body that is read from its store chunk by chunk, each once the previous one is sent. The store
/// holds nothing between two reads.
pub(super) struct Chunks {
    store: Arc<dyn JobStore>,
    result: ResultRef,
    next: u32,
    /// The bytes of the chunks from that one on.
    left: u64,
    /// The rest of the last chunk read.
    data: Bytes,
    /// Never locked: it only makes the body `Sync`.
    reading: Mutex<Option<Reading>>,
}

type Reading = StoreFuture<'static, Option<Bytes>>;

impl Chunks {
    pub(super) fn new(store: Arc<dyn JobStore>, result: ResultRef) -> Self {
        Self {
            store,
            result,
            next: 0,
            left: result.len,
            data: Bytes::new(),
            reading: Mutex::default(),
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.data.len() as u64 + self.left
    }

    /// Returns the available part of the body, once it is not empty or the body has ended. The
    /// caller takes from it.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<&mut Bytes, StoreError>> {
        if self.data.is_empty() && self.left > 0 {
            let read = ready!(self.poll_read(cx));
            let fits = |data: &Bytes| !data.is_empty() && data.len() as u64 <= self.left;
            let read = read.and_then(|data| match data.filter(fits) {
                Some(data) => Ok(data),
                None => Err(StoreError::corrupt(
                    "a chunk is missing, or not of its size",
                )),
            });
            match read {
                Ok(data) => {
                    self.next += 1;
                    self.left -= data.len() as u64;
                    self.data = data;
                }
                Err(error) => {
                    let (job, chunk) = (self.result.lease.id, self.next);
                    tracing::warn!(%error, ?job, chunk, "the download of a result is cut off");
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(&mut self.data))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StoreError>> {
        if self.result.chunks.is_none_or(|chunks| self.next >= chunks) {
            return Poll::Ready(Ok(None));
        }
        let reading = self.reading.get_mut();
        let reading = reading.unwrap_or_else(PoisonError::into_inner);
        let (store, result, index) = (&self.store, self.result, self.next);
        let read = reading.get_or_insert_with(|| {
            let store = store.clone();
            Box::pin(async move { store.read_chunk(&result, index).await })
        });
        let read = ready!(panics::poll_catching(read, cx));
        *reading = None;
        Poll::Ready(read.unwrap_or_else(|payload| {
            panics::log("the job store", payload);
            Err(StoreError::unavailable("the job store panicked"))
        }))
    }
}

/// A read in flight starts again.
impl Clone for Chunks {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            data: self.data.clone(),
            reading: Mutex::default(),
            ..*self
        }
    }
}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks")
            .field("result", &self.result)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

//! Bodies of results that are stored in chunks.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tower_async_job_core::{JobHandle, JobStore, ResultRef, StoreError, StoreFuture};

use crate::{observe::with_sources, panics};

/// A body that is read from its store chunk by chunk, each once the previous one is sent. The store
/// holds nothing between two reads.
pub(super) struct Chunks {
    store: Arc<dyn JobStore>,
    result: ResultRef,
    handle: JobHandle,
    next: u32,
    /// The position of the next byte to read.
    at: u64,
    /// The position at which the body ends.
    end: u64,
    /// The state of finding the chunk with the first byte.
    search: Search,
    /// The rest of the last chunk read.
    data: Bytes,
    /// Never locked: it only makes the body `Sync`.
    reading: Mutex<Option<Reading>>,
}

/// The search for the chunk that contains a position. Its index is computed from the size of
/// chunks, which may have been another when the result was stored; the first chunk read shows it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Search {
    /// The next chunk begins at the position.
    Over,
    Guessed,
    Known,
}

type Reading = StoreFuture<'static, Option<Bytes>>;

impl Chunks {
    pub(super) fn new(store: Arc<dyn JobStore>, result: ResultRef, handle: JobHandle) -> Self {
        Self {
            store,
            result,
            handle,
            next: 0,
            at: 0,
            end: result.len,
            search: Search::Over,
            data: Bytes::new(),
            reading: Mutex::default(),
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.data.len() as u64 + (self.end - self.at)
    }

    /// Keeps only the bytes from one position to another. Nothing has been read yet.
    pub(super) fn keep(&mut self, first: u64, last: u64) {
        (self.at, self.end) = (first, last + 1);
        if let Some(chunks) = self.result.chunks
            && first > 0
        {
            let size = self.store.properties().chunk.unwrap_or(1).max(1) as u64;
            let index = u32::try_from(first / size).unwrap_or(u32::MAX);
            self.next = index.min(chunks.saturating_sub(1));
            self.search = Search::Guessed;
        }
    }

    /// Returns the available part of the body, once it is not empty or the body has ended. The
    /// caller takes from it.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<&mut Bytes, StoreError>> {
        while self.data.is_empty() && self.at < self.end {
            let read = ready!(self.poll_read(cx));
            let taken = read.and_then(|data| {
                let data = data.unwrap_or_default();
                self.take(data)
                    .ok_or_else(|| StoreError::corrupt("a chunk is missing, or not of its size"))
            });
            if let Err(error) = taken {
                let (handle, chunk) = (self.handle, self.next);
                tracing::warn!(
                    error = with_sources(&error),
                    %handle,
                    chunk,
                    "the download of a result is cut off"
                );
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(&mut self.data))
    }

    /// Takes the wanted part of the chunk that was read, or moves on to the chunk that has it.
    /// Returns `None` if the chunk cannot be a part of the result.
    fn take(&mut self, mut data: Bytes) -> Option<()> {
        let read = data.len() as u64;
        let begin = match self.search {
            Search::Over => self.at,
            // All chunks except for the last have one size.
            _ if self.is_last() => self.result.len.checked_sub(read)?,
            _ => read * u64::from(self.next),
        };
        if data.is_empty() || begin + read > self.result.len {
            return None;
        }
        if !(begin..begin + read).contains(&self.at) {
            let size = match self.is_last() {
                true => begin.checked_div(self.next.into())?,
                false => read,
            };
            let index = self.at.checked_div(size)?;
            self.next = u32::try_from(index).ok()?;
            return (mem::replace(&mut self.search, Search::Known) == Search::Guessed)
                .then_some(());
        }
        data.truncate(usize::try_from(self.end - begin).unwrap_or(usize::MAX));
        data.advance((self.at - begin) as usize);
        self.search = Search::Over;
        self.next += 1;
        self.at += data.len() as u64;
        self.data = data;
        Some(())
    }

    fn is_last(&self) -> bool {
        self.result.chunks == self.next.checked_add(1)
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

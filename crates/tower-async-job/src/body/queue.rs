//! Spooled frames, and the room that all requests share for them.

use std::{
    collections::{HashMap, VecDeque},
    io::IoSlice,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Buf;
use http::HeaderMap;
use http_body::Frame;
use tower_async_job_core::Principal;

/// The bytes of spooled uploads, in total and by principal, with their limits.
#[derive(Debug)]
pub(crate) struct SpoolRoom {
    left: AtomicUsize,
    each: usize,
    taken: Mutex<HashMap<Principal, usize>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoom {
    Overall,
    Principal,
}

impl SpoolRoom {
    pub(crate) fn new(bytes: usize, each: usize) -> Self {
        Self {
            left: AtomicUsize::new(bytes),
            each,
            taken: Mutex::default(),
        }
    }

    fn take(&self, principal: Option<&Principal>, bytes: usize) -> Result<(), NoRoom> {
        let take = |left: usize| left.checked_sub(bytes);
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .map_err(|_| NoRoom::Overall)?;
        if let Some(principal) = principal
            && bytes > 0
        {
            let mut taken = self.taken();
            let own = taken.get(principal).copied().unwrap_or(0);
            let all = own.saturating_add(bytes);
            if all > self.each {
                self.left.fetch_add(bytes, Ordering::Relaxed);
                return Err(NoRoom::Principal);
            }
            taken.insert(principal.clone(), all);
        }
        Ok(())
    }

    fn give_back(&self, principal: Option<&Principal>, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
        if let Some(principal) = principal
            && bytes > 0
        {
            let mut taken = self.taken();
            if let Some(own) = taken.get_mut(principal) {
                *own -= bytes;
                if *own == 0 {
                    taken.remove(principal);
                }
            }
        }
    }

    /// Takes room for a copy of an upload.
    pub(super) fn take_for_copy(
        self: &Arc<Self>,
        principal: Option<&Principal>,
        bytes: usize,
    ) -> Result<RoomOfCopy, NoRoom> {
        self.take(principal, bytes)?;
        Ok(RoomOfCopy {
            room: self.clone(),
            principal: principal.cloned(),
            bytes,
        })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Principal, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The room of a copy of an upload; given back when dropped.
#[derive(Debug)]
pub(crate) struct RoomOfCopy {
    room: Arc<SpoolRoom>,
    principal: Option<Principal>,
    bytes: usize,
}

impl Drop for RoomOfCopy {
    fn drop(&mut self) {
        self.room.give_back(self.principal.as_ref(), self.bytes);
    }
}

/// The number of frames that are kept under any limit.
const FEW_FRAMES: usize = 16;

/// The frames of one upload that the handler has not read.
pub(super) struct Queue<D> {
    frames: VecDeque<Frame<D>>,
    bytes: usize,
    room: Arc<SpoolRoom>,
    principal: Option<Principal>,
    /// The room taken: all bytes, unless the room ran out.
    taken: usize,
    /// The limit that was reached last.
    ran_out: NoRoom,
}

impl<D: Buf> Queue<D> {
    pub(super) fn new(room: Arc<SpoolRoom>, principal: Option<Principal>) -> Self {
        Self {
            frames: VecDeque::new(),
            bytes: 0,
            room,
            principal,
            taken: 0,
            ran_out: NoRoom::Overall,
        }
    }

    /// Keeps a frame regardless of the limits, since it cannot be put back.
    pub(super) fn push(&mut self, frame: Frame<D>) {
        let bytes = length(&frame);
        match self.room.take(self.principal.as_ref(), bytes) {
            Ok(()) => self.taken += bytes,
            Err(no_room) => self.ran_out = no_room,
        }
        self.bytes += bytes;
        self.frames.push_back(frame);
    }

    pub(super) fn pop(&mut self) -> Option<Frame<D>> {
        let frame = self.frames.pop_front()?;
        self.bytes -= length(&frame);
        self.give_back_to(self.bytes);
        Some(frame)
    }

    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
        self.give_back_to(0);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns whether the queue exceeds its limit. Frames count too, since even short ones take
    /// memory.
    pub(super) fn is_over(&self, limit: usize) -> bool {
        let frames = (limit / size_of::<Frame<D>>()).max(FEW_FRAMES);
        self.bytes > limit || self.frames.len() > frames
    }

    /// Returns the limit that was reached, if more arrived than there was room for.
    pub(super) fn no_room(&self) -> Option<NoRoom> {
        (self.taken < self.bytes).then_some(self.ran_out)
    }

    /// Takes room for a copy of its frames.
    pub(super) fn take_for_copy(&self) -> Result<RoomOfCopy, NoRoom> {
        self.room.take_for_copy(self.principal.as_ref(), self.bytes)
    }

    pub(super) fn trailers(&self) -> Option<&HeaderMap> {
        self.frames.back()?.trailers_ref()
    }

    /// Passes the data to `see`, and returns whether that was all: data in several pieces, or of a
    /// type that does not expose them, cannot be read without being consumed.
    pub(super) fn each_chunk(&self, mut see: impl FnMut(&[u8])) -> bool {
        let mut seen = 0;
        for data in self.frames.iter().filter_map(Frame::data_ref) {
            let mut chunks = [IoSlice::new(&[]); 64];
            let count = data.chunks_vectored(&mut chunks);
            for chunk in &chunks[..count] {
                seen += chunk.len();
                see(chunk);
            }
        }
        seen == self.bytes
    }
}

impl<D> Queue<D> {
    fn give_back_to(&mut self, keep: usize) {
        let over = self.taken.saturating_sub(keep);
        self.taken -= over;
        self.room.give_back(self.principal.as_ref(), over);
    }
}

impl<D> Drop for Queue<D> {
    fn drop(&mut self) {
        self.give_back_to(0);
    }
}

pub(super) fn length<D: Buf>(frame: &Frame<D>) -> usize {
    frame.data_ref().map_or(0, Buf::remaining)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn data_that_is_not_shown_whole_is_told() {
        let shown = |pieces: usize| {
            let mut data: Box<dyn Buf> = Box::new(Bytes::new());
            for _ in 0..pieces {
                data = Box::new(data.chain(Bytes::from_static(b"1")));
            }
            let room = Arc::new(SpoolRoom::new(1000, 1000));
            let mut queue = Queue::new(room, None);
            queue.push(Frame::data(data));
            let mut seen = 0;
            (queue.each_chunk(|chunk| seen += chunk.len()), seen)
        };
        assert_eq!(shown(64), (true, 64));
        assert_eq!(shown(65), (false, 64));
    }

    #[test]
    fn room_is_shared_and_given_back() {
        let room = Arc::new(SpoolRoom::new(10, 10));
        let mut first = Queue::new(room.clone(), None);
        let mut second = Queue::new(room.clone(), None);
        first.push(Frame::data(Bytes::from_static(b"123456")));
        second.push(Frame::data(Bytes::from_static(b"123456")));
        assert_eq!(first.no_room(), None);
        assert_eq!(second.no_room(), Some(NoRoom::Overall));
        assert_eq!(second.bytes(), 6, "kept all the same");
        assert!(first.pop().is_some());
        assert!(second.pop().is_some());
        assert_eq!(room.take(None, 10), Ok(()));
        room.give_back(None, 10);
        first.push(Frame::data(Bytes::from_static(b"1234567890")));
        drop(first);
        assert_eq!(room.take(None, 10), Ok(()));
    }

    #[test]
    fn s70_room_of_one_principal_is_not_that_of_another() {
        let room = Arc::new(SpoolRoom::new(100, 10));
        let queue = |name: &str| Queue::new(room.clone(), Some(Principal::new(name)));
        let (mut first, mut second, mut other) = (queue("a"), queue("a"), queue("b"));
        first.push(Frame::data(Bytes::from_static(b"123456")));
        second.push(Frame::data(Bytes::from_static(b"123456")));
        other.push(Frame::data(Bytes::from_static(b"123456")));
        assert_eq!(first.no_room(), None);
        assert_eq!(second.no_room(), Some(NoRoom::Principal));
        assert_eq!(other.no_room(), None);
        drop((first, second, other));
        assert_eq!(room.take(None, 100), Ok(()));
        assert!(room.taken().is_empty());
    }
}

//! Spooled frames, and the room that those of all requests share.

use std::{
    collections::VecDeque,
    io::IoSlice,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Buf;
use http_body::Frame;

/// The bytes that all spooled uploads together may take.
#[derive(Debug)]
pub(crate) struct SpoolRoom {
    left: AtomicUsize,
}

impl SpoolRoom {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            left: AtomicUsize::new(bytes),
        }
    }

    fn take(&self, bytes: usize) -> bool {
        let take = |left: usize| left.checked_sub(bytes);
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// So many frames are kept under any limit.
const FEW_FRAMES: usize = 16;

/// The frames of one upload that the handler has not read yet.
pub(super) struct Queue<D> {
    frames: VecDeque<Frame<D>>,
    bytes: usize,
    room: Arc<SpoolRoom>,
    /// How much of the room is taken: all bytes, unless it ran out.
    taken: usize,
}

impl<D: Buf> Queue<D> {
    pub(super) fn new(room: Arc<SpoolRoom>) -> Self {
        Self {
            frames: VecDeque::new(),
            bytes: 0,
            room,
            taken: 0,
        }
    }

    /// Keeps a frame in any case, since it cannot be put back.
    pub(super) fn push(&mut self, frame: Frame<D>) {
        let bytes = length(&frame);
        if self.room.take(bytes) {
            self.taken += bytes;
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

    /// Whether there is more than there may be. Frames count too, for each takes memory however
    /// short it is.
    pub(super) fn is_over(&self, limit: usize) -> bool {
        let frames = (limit / size_of::<Frame<D>>()).max(FEW_FRAMES);
        self.bytes > limit || self.frames.len() > frames
    }

    /// Whether there is more than there was room for.
    pub(super) fn is_without_room(&self) -> bool {
        self.taken < self.bytes
    }

    /// Shows the data, and says whether all of it: data in many pieces, or of a type that does not
    /// tell its pieces, cannot be seen without being consumed.
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
        self.room.give_back(over);
    }
}

impl<D> Drop for Queue<D> {
    fn drop(&mut self) {
        self.give_back_to(0);
    }
}

fn length<D: Buf>(frame: &Frame<D>) -> usize {
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
            let mut queue = Queue::new(Arc::new(SpoolRoom::new(1000)));
            queue.push(Frame::data(data));
            let mut seen = 0;
            (queue.each_chunk(|chunk| seen += chunk.len()), seen)
        };
        assert_eq!(shown(64), (true, 64));
        assert_eq!(shown(65), (false, 64));
    }

    #[test]
    fn room_is_shared_and_given_back() {
        let room = Arc::new(SpoolRoom::new(10));
        let mut first = Queue::new(room.clone());
        let mut second = Queue::new(room.clone());
        first.push(Frame::data(Bytes::from_static(b"123456")));
        second.push(Frame::data(Bytes::from_static(b"123456")));
        assert!(!first.is_without_room());
        assert!(second.is_without_room());
        assert_eq!(second.bytes(), 6, "kept all the same");
        assert!(first.pop().is_some());
        assert!(second.pop().is_some());
        assert!(room.take(10));
        room.give_back(10);
        first.push(Frame::data(Bytes::from_static(b"1234567890")));
        drop(first);
        assert!(room.take(10));
    }
}

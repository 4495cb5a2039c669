//! Room for results that are being recorded in this process.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

use tokio::sync::Semaphore;

/// The bytes that all recordings together may take. If none are left, recordings wait, except that
/// one at a time may exceed them: otherwise each could hold a part of the room, and none complete.
#[derive(Debug)]
pub(crate) struct RecordingRoom {
    bytes: Semaphore,
    beyond: Semaphore,
}

impl RecordingRoom {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            bytes: Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)),
            beyond: Semaphore::new(1),
        }
    }
}

/// The room of one recording; released when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    room: Arc<RecordingRoom>,
    bytes: usize,
    /// It is the one that may exceed the room.
    beyond: bool,
}

impl Held {
    pub(crate) fn new(room: Arc<RecordingRoom>) -> Self {
        Self {
            room,
            bytes: 0,
            beyond: false,
        }
    }

    /// Waits until there is room for `bytes` in total. Cancel safe.
    pub(crate) async fn grow(&mut self, bytes: usize) {
        while !self.beyond && self.bytes < bytes {
            let more = u32::try_from(bytes - self.bytes).unwrap_or(u32::MAX);
            if let Ok(permit) = self.room.bytes.try_acquire_many(more) {
                permit.forget();
                self.bytes += more as usize;
                continue;
            }
            let mut enough = pin!(self.room.bytes.acquire_many(more));
            let mut beyond = pin!(self.room.beyond.acquire());
            let beyond = poll_fn(|cx| {
                if let Poll::Ready(Ok(permit)) = enough.as_mut().poll(cx) {
                    permit.forget();
                    return Poll::Ready(false);
                }
                match beyond.as_mut().poll(cx) {
                    Poll::Ready(Ok(permit)) => {
                        permit.forget();
                        Poll::Ready(true)
                    }
                    // The semaphores are never closed.
                    _ => Poll::Pending,
                }
            })
            .await;
            if beyond {
                self.beyond = true;
            } else {
                self.bytes += more as usize;
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room.bytes.add_permits(self.bytes);
        self.room.beyond.add_permits(usize::from(self.beyond));
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    fn is_there(held: &mut Held, bytes: usize) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        pin!(held.grow(bytes)).poll(&mut context).is_ready()
    }

    #[test]
    fn all_but_one_wait_beyond_the_room() {
        let room = Arc::new(RecordingRoom::new(100));
        let [mut first, mut second, mut third] = [(); 3].map(|()| Held::new(room.clone()));
        assert!(is_there(&mut first, 60) && is_there(&mut second, 40));
        assert!(is_there(&mut first, 500), "one goes on");
        assert!(!is_there(&mut second, 50));
        drop(first);
        assert!(is_there(&mut second, 50));
        assert!(is_there(&mut third, 50));
        assert!(is_there(&mut third, 60), "the turn of another");
        assert!(!is_there(&mut second, 60));
        drop(third);
        drop(second);
        assert_eq!(room.bytes.available_permits(), 100);
        assert_eq!(room.beyond.available_permits(), 1);
    }
}

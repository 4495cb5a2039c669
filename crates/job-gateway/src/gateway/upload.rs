//! Uploads of unknown length, which are read first if their requests can be sent again.

use std::{
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use crate::proxy::{Failure, Target};

/// The bytes that all uploads may take while they are read, in KiB.
const ROOM: usize = 64 << 10;

/// The part of the free room beyond which no upload takes more: its request is sent while it is read, and
/// cannot be sent again. However many uploads stall, there is thus room for others that are smaller.
const SHARE: usize = 4;

static FREE: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(ROOM)));

/// An upload, of which some may have been read.
#[derive(Debug)]
pub(crate) struct Upload {
    read: Bytes,
    /// The room of these bytes, until they are sent on.
    room: Option<Room>,
    /// The part that was not read, or the trailers.
    rest: Rest,
}

#[derive(Debug)]
enum Rest {
    Incoming(Incoming),
    Trailers(Option<HeaderMap>),
}

impl Upload {
    pub(super) fn new(body: Incoming) -> Self {
        Self {
            read: Bytes::new(),
            room: None,
            rest: Rest::Incoming(body),
        }
    }

    /// Returns a body of unknown length that has not been read.
    fn unread(&mut self) -> Option<&mut Incoming> {
        match &mut self.rest {
            Rest::Incoming(body) if body.size_hint().exact().is_none() => Some(body),
            _ => None,
        }
    }

    /// Reads an upload to its end, or up to limits of bytes and time, if its length is unknown. Returns
    /// whether it has ended, or has a length.
    ///
    /// # Errors
    ///
    /// Fails if the client leaves, or sends no valid body.
    pub(super) async fn read(&mut self, target: &Target) -> Result<bool, Failure> {
        let Some(body) = self.unread() else {
            return Ok(true);
        };
        let limit = target.route.request_spool;
        let mut room = Room::of(&FREE);
        let mut read = BytesMut::new();
        let end = Instant::now() + target.upload_timeout;
        let mut trailers = None;
        let is_whole = loop {
            if read.len() > limit || !room.grow(read.len()) {
                break false;
            }
            let Ok(frame) = timeout_at(end, body.frame()).await else {
                break false;
            };
            let Some(frame) = frame.transpose().map_err(|_| Failure::Upload)? else {
                break true;
            };
            match frame.into_data() {
                Ok(data) => read.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        };
        self.read = read.freeze();
        self.room = Some(room);
        if is_whole {
            self.rest = Rest::Trailers(trailers);
        }
        Ok(is_whole)
    }
}

/// The room that an upload has taken.
#[derive(Debug)]
struct Room {
    free: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
}

impl Room {
    fn of(free: &Arc<Semaphore>) -> Self {
        Self {
            free: free.clone(),
            taken: None,
        }
    }

    /// Takes room for this number of bytes in total. Returns whether it has that much.
    fn grow(&mut self, bytes: usize) -> bool {
        let taken = self.taken.as_ref().map_or(0, |taken| taken.num_permits());
        let needed = bytes.div_ceil(1024);
        if needed <= taken {
            return true;
        }
        let may_take = needed <= self.free.available_permits() / SHARE;
        let more = u32::try_from(needed - taken).ok().filter(|_| may_take);
        let more = more.and_then(|more| self.free.clone().try_acquire_many_owned(more).ok());
        match (&mut self.taken, more) {
            (_, None) => return false,
            (Some(taken), Some(more)) => taken.merge(more),
            (taken @ None, more) => *taken = more,
        }
        true
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        if !this.read.is_empty() {
            let read = std::mem::take(&mut this.read);
            this.room = None;
            return Poll::Ready(Some(Ok(Frame::data(read))));
        }
        Poll::Ready(match &mut this.rest {
            Rest::Incoming(body) => ready!(Pin::new(body).poll_frame(cx)),
            Rest::Trailers(trailers) => trailers.take().map(|it| Ok(Frame::trailers(it))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty()
            && match &self.rest {
                Rest::Incoming(body) => body.is_end_stream(),
                Rest::Trailers(trailers) => trailers.is_none(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.read.len() as u64;
        match &self.rest {
            Rest::Incoming(body) if read == 0 => body.size_hint(),
            Rest::Incoming(_) => SizeHint::new(),
            // Trailers need a message without a length.
            Rest::Trailers(Some(_)) => SizeHint::new(),
            Rest::Trailers(None) => SizeHint::with_exact(read),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;

    #[test]
    fn uploads_that_stall_leave_room_for_others() {
        let free = Arc::new(Semaphore::new(ROOM));
        let mut stalled = Vec::new();
        for _ in 0..10_000 {
            let mut room = Room::of(&free);
            if room.grow(2 * MIB) {
                stalled.push(room);
            }
        }
        assert!(stalled.len() > 20, "{}", stalled.len());
        let mut small = Room::of(&free);
        for bytes in (0..MIB).step_by(KIB) {
            assert!(small.grow(bytes), "{bytes}");
        }
        assert!(small.grow(100), "it has that much");
        drop((small, stalled));
        assert_eq!(free.available_permits(), ROOM);
    }

    #[test]
    fn room_is_taken_as_bytes_arrive() {
        let free = Arc::new(Semaphore::new(ROOM));
        let mut rooms: Vec<_> = (0..10_000).map(|_| Room::of(&free)).collect();
        assert!(rooms.iter_mut().all(|room| room.grow(1)));
        assert_eq!(free.available_permits(), ROOM - 10_000);
    }
}

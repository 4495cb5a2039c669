//! Uploads of unknown length, which are read first if their requests can be sent again.

use std::{
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use crate::proxy::{Failure, Target};

/// The bytes that all uploads may take while they are read, in KiB. Beyond it, requests are sent
/// while they are read, and cannot be sent again.
const ROOM: usize = 64 << 10;

static FREE: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(ROOM));

/// An upload, of which some may have been read.
#[derive(Debug)]
pub(crate) struct Upload {
    read: Bytes,
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
        let kib = u32::try_from(limit.div_ceil(1024)).unwrap_or(u32::MAX);
        let Ok(_room) = FREE.try_acquire_many(kib) else {
            return Ok(false);
        };
        let mut read = BytesMut::new();
        let end = Instant::now() + target.upload_timeout;
        let mut trailers = None;
        let is_whole = loop {
            if read.len() > limit {
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
        if is_whole {
            self.rest = Rest::Trailers(trailers);
        }
        Ok(is_whole)
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

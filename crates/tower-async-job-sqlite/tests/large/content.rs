//! The body of a result. Its content shows parts that are lost, repeated or exchanged.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll},
};

use axum::body::Bytes;
use http::{HeaderMap, HeaderValue};
use hyper::body::{Body, Frame, SizeHint};

/// The bytes of a frame.
const FRAME: usize = 64 << 10;

/// The number of different frames.
const FRAMES: usize = 251;

static PATTERN: LazyLock<Bytes> = LazyLock::new(|| {
    let byte = |place: usize| (place * place % FRAMES) as u8;
    (0..FRAME + FRAMES).map(byte).collect()
});

/// Returns some bytes of the content: those from an offset on, at most `limit` of them.
pub(crate) fn part(offset: u64, limit: usize) -> Bytes {
    let within = (offset % FRAME as u64) as usize;
    let start = (offset / FRAME as u64 % FRAMES as u64) as usize;
    let length = limit.min(FRAME - within);
    PATTERN.slice(start + within..start + within + length)
}

/// A body that is ready as fast as it is read.
pub(crate) struct Content {
    next: u64,
    length: u64,
    /// With them, HTTP/1.1 has no Content-Length.
    trailers: Option<HeaderMap>,
}

impl Content {
    pub(crate) fn new(length: u64) -> Self {
        Self {
            next: 0,
            length,
            trailers: Some(
                [("x-end".parse().unwrap(), HeaderValue::from_static("1"))]
                    .into_iter()
                    .collect(),
            ),
        }
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.next == self.length {
            let trailers = self.trailers.take();
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        }
        let left = usize::try_from(self.length - self.next).unwrap_or(usize::MAX);
        let data = part(self.next, left);
        self.next += data.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length - self.next)
    }
}

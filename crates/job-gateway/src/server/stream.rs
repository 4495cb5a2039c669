//! The stream of a connection, with the limits of its client.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep, sleep},
};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{activity::Activity, listener::Stream};

/// The first bytes of a connection over HTTP/2 (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The time for which a client may send more of an upload after its connection has ended, and that for
/// which it may send nothing meanwhile.
const LINGER: Duration = Duration::from_secs(5);
const QUIET: Duration = Duration::from_millis(500);

/// The place of a connection, and its count among those that are open. Both last as long as its stream,
/// also after an upgrade.
pub(super) type Place = (OwnedSemaphorePermit, TaskTrackerToken);

/// A stream that is measured.
pub(super) struct Measured {
    stream: Stream,
    /// The bytes that were read to recognise the protocol.
    first: Bytes,
    activity: Activity,
    /// The time for which a client may read nothing that is written.
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    /// The times at which the connection is closed at the latest, and at which it is if nothing arrives.
    lingers: Option<(Instant, Pin<Box<Sleep>>)>,
    _place: Place,
}

/// Reads the first bytes of a stream. Returns them, and whether they are of HTTP/2.
pub(super) async fn recognised(stream: &mut Stream) -> io::Result<(Bytes, bool)> {
    let mut first = BytesMut::with_capacity(4 << 10);
    loop {
        let known = first.len().min(PREFACE.len());
        if first[..known] != PREFACE[..known] {
            return Ok((first.freeze(), false));
        }
        if known == PREFACE.len() {
            return Ok((first.freeze(), true));
        }
        if stream.read_buf(&mut first).await? == 0 {
            return Ok((first.freeze(), false));
        }
    }
}

impl Measured {
    pub(super) fn new(
        stream: Stream,
        first: Bytes,
        activity: Activity,
        patience: Duration,
        place: Place,
    ) -> Self {
        Self {
            stream,
            first,
            activity,
            patience,
            stalled: None,
            lingers: None,
            _place: place,
        }
    }

    /// Discards the rest of an upload that the client is sending. A system that closes a connection
    /// with bytes which were not read resets it, and the client may lose the answer (RFC 9112, section
    /// 9.6).
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (end, quiet) = self.lingers.get_or_insert_with(|| {
            let quiet = Box::pin(sleep(QUIET));
            (Instant::now() + LINGER, quiet)
        });
        let mut discarded = [0; 8 << 10];
        loop {
            let mut buffer = ReadBuf::new(&mut discarded);
            let now = Instant::now();
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return quiet.as_mut().poll(cx),
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() && now < *end => {
                    quiet.as_mut().reset(now + QUIET);
                }
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
    }

    /// Fails a write for which the client has made no room for too long.
    fn measure<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Measured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        if this.first.has_remaining() {
            let count = this.first.len().min(buffer.remaining());
            buffer.put_slice(&this.first.split_to(count));
        } else {
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        }
        if buffer.filled().len() > before {
            this.activity.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Measured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.measure(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.measure(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.measure(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingers.is_none() {
            let ended = Pin::new(&mut self.stream).poll_shutdown(cx);
            ready!(self.measure(cx, ended))?;
        }
        self.linger(cx).map(Ok)
    }
}

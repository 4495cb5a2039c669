//! The bytes of a connection of HTTP/1.1: an early response is read even if its server takes no more of
//! the request, and a server cannot send informational responses for ever.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
};

use http::Request;
use hyper::{
    ext::on_informational,
    rt::{Read, ReadBufCursor, Write},
};

/// The number of informational responses before a response.
const LIMIT: u32 = 1000;

/// A count of the informational responses to a request. A connection parses them one after the other
/// for as long as bytes arrive, and would keep its thread from all other work.
#[derive(Clone, Debug, Default)]
pub(super) struct Interim(Arc<AtomicU32>);

impl Interim {
    /// Counts those to this request from now on.
    pub(super) fn begin<B>(&self, request: &mut Request<B>) {
        self.0.store(0, Ordering::Relaxed);
        let count = self.0.clone();
        on_informational(request, move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
    }
}

/// The bytes of a connection.
pub(super) struct Wire<I> {
    io: I,
    interim: Interim,
    /// Set once the server takes no more bytes. The reader then learns the reason: a response, or the
    /// end of the connection.
    is_deaf: bool,
}

impl<I> Wire<I> {
    pub(super) fn new(io: I, interim: Interim) -> Self {
        Self {
            io,
            interim,
            is_deaf: false,
        }
    }

    /// Takes the result of writing bytes, which are lost if the server takes no more.
    fn written<T>(&mut self, result: Poll<io::Result<T>>, lost: T) -> Poll<io::Result<T>> {
        use io::ErrorKind::{BrokenPipe, ConnectionReset};
        match result {
            Poll::Ready(Err(error)) if matches!(error.kind(), BrokenPipe | ConnectionReset) => {
                self.is_deaf = true;
                Poll::Ready(Ok(lost))
            }
            result => result,
        }
    }
}

impl<I: Read + Unpin> Read for Wire<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.interim.0.load(Ordering::Relaxed) > LIMIT {
            let text = format!("more than {LIMIT} informational responses");
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
        }
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<I: Write + Unpin> Write for Wire<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_deaf {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.written(written, bytes.len())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.written(flushed, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = pieces.iter().map(|piece| piece.len()).sum();
        if self.is_deaf {
            return Poll::Ready(Ok(length));
        }
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, pieces);
        self.written(written, length)
    }
}

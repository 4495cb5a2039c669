//! The bytes of two connections that have left HTTP, each copied to the other.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional},
    time::{Instant, sleep_until},
};

/// Copies bytes both ways until both sides have ended, one has failed, or both have been silent for too
/// long.
pub(super) async fn tunnel<A, B>(client: A, server: B, longest_silence: Duration)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let silence = Silence::new();
    let mut client = Heard::new(client, silence.clone());
    let mut server = Heard::new(server, silence.clone());
    tokio::select! {
        // The end of either side is the end of a websocket, not a failure.
        _ = copy_bidirectional(&mut client, &mut server) => {}
        () = silence.lasts(longest_silence) => {}
    }
}

/// The time since the latest bytes of either side.
#[derive(Clone)]
struct Silence {
    begun: Instant,
    /// Milliseconds since the beginning.
    since: Arc<AtomicU64>,
}

impl Silence {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            since: Arc::default(),
        }
    }

    fn end(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since.store(now, Ordering::Relaxed);
    }

    /// Resolves once it has lasted for this time.
    async fn lasts(&self, longest: Duration) {
        loop {
            let since = Duration::from_millis(self.since.load(Ordering::Relaxed));
            let due = self.begun + since + longest;
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
    }
}

/// A side whose bytes end the silence.
struct Heard<T> {
    stream: T,
    silence: Silence,
}

impl<T> Heard<T> {
    fn new(stream: T, silence: Silence) -> Self {
        Self { stream, silence }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Heard<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.silence.end();
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Heard<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        task::JoinHandle,
        time::sleep,
    };

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Returns both ends of a tunnel whose silence may last for 10 s.
    fn begun() -> (DuplexStream, DuplexStream, JoinHandle<u64>) {
        let ((client, near), (far, server)) = (duplex(64), duplex(64));
        let tunnel = tokio::spawn(async move {
            let begun = Instant::now();
            tunnel(near, far, 10 * SECOND).await;
            begun.elapsed().as_secs()
        });
        (client, server, tunnel)
    }

    #[tokio::test(start_paused = true)]
    async fn a_tunnel_ends_once_both_sides_have_been_silent_for_too_long() {
        let (mut client, mut server, tunnel) = begun();
        for _ in 0..3 {
            sleep(8 * SECOND).await;
            client.write_all(b"x").await.unwrap();
            server.read_exact(&mut [0]).await.unwrap();
            sleep(8 * SECOND).await;
            server.write_all(b"y").await.unwrap();
            client.read_exact(&mut [0]).await.unwrap();
        }
        assert_eq!(tunnel.await.unwrap(), 6 * 8 + 10);
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_never_reads_is_silent() {
        let (_client, mut server, tunnel) = begun();
        let writing = tokio::spawn(async move { server.write_all(&[0; 1 << 20]).await });
        assert_eq!(tunnel.await.unwrap(), 10);
        writing.await.unwrap().unwrap_err();
    }
}

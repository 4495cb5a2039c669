//! Calls of a client that wait for their answers: between two polls, or on a connection held open.
//! All of them go through hyper's client connections, without sockets.

use std::{
    any::Any,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use http::{Method, Request, Response};
use hyper::{
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
    rt::{Read, ReadBufCursor, Write},
};
use tokio::{
    runtime::{Handle, Runtime},
    sync::Mutex,
};
use tower::{Layer, Service};
use tower_poll::PollLayer;

use crate::{Body, Headers, memory::JOBS, request, settle};

/// The pending answer of `AsyncJobLayer`.
const PENDING: &[u8] = b"HTTP/1.1 303 See Other\r\n\
    content-type: application/json\r\n\
    cache-control: no-store\r\n\
    job-status: running\r\n\
    retry-after: 50\r\n\
    retry-after-ms: 50000\r\n\
    location: /work/0123456789abcdef0123456789abcdef?poll=1&due=50000\r\n\
    vary: accept, prefer\r\n\
    content-length: 168\r\n\
    date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
    \r\n\
    {\"id\":\"0123456789abcdef0123456789abcdef\",\"state\":\"running\",\
    \"created\":\"2026-01-01T00:00:00.000Z\",\"started\":\"2026-01-01T00:00:00.000Z\",\
    \"attempt\":1,\"retry_after_ms\":50000}";

/// Calls through [`PollLayer`] that have received a pending answer each, all over one connection.
pub(crate) fn waiting(runtime: &Runtime) -> Box<dyn Any> {
    runtime.block_on(async {
        let client = Client::connect(PENDING).await;
        let service = PollLayer::new().layer(client);
        for _ in 0..JOBS {
            let mut service = service.clone();
            tokio::spawn(async move { service.call(submission()).await.is_ok() });
            settle().await;
        }
        assert!(
            Handle::current().metrics().num_alive_tasks() > JOBS,
            "calls wait"
        );
        Box::new(service)
    })
}

/// Calls that have sent their request, and wait on one connection each.
pub(crate) fn held(runtime: &Runtime) -> Box<dyn Any> {
    runtime.block_on(async {
        for _ in 0..JOBS {
            let mut client = Client::connect(&[]).await;
            tokio::spawn(async move { client.call(submission()).await.is_ok() });
            settle().await;
        }
        assert!(
            Handle::current().metrics().num_alive_tasks() >= 2 * JOBS,
            "calls wait"
        );
        Box::new(())
    })
}

fn submission() -> Request<Body> {
    request(Method::POST, "https://api.example/report", Headers::Two)
}

/// A client with one connection, on which requests take turns.
#[derive(Clone)]
struct Client(Arc<Mutex<SendRequest<Body>>>);

impl Client {
    /// Connects to a server that answers every request with `answer`, or does not answer if that is empty.
    async fn connect(answer: &'static [u8]) -> Self {
        let (sender, connection) = handshake(Peer::new(answer))
            .await
            .expect("there is nothing to fail");
        tokio::spawn(connection);
        Self(Arc::new(Mutex::new(sender)))
    }
}

impl Service<Request<Body>> for Client {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let sender = self.0.clone();
        Box::pin(async move {
            let mut sender = sender.lock().await;
            sender.ready().await?;
            sender.send_request(request).await
        })
    }
}

/// The other end of a connection.
struct Peer {
    answer: &'static [u8],
    /// The unread rest of the answer to the written request.
    left: &'static [u8],
    reader: Option<Waker>,
}

impl Peer {
    fn new(answer: &'static [u8]) -> Self {
        Self {
            answer,
            left: &[],
            reader: None,
        }
    }
}

impl Read for Peer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left.is_empty() {
            self.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let length = self.left.len().min(buffer.remaining());
        let (read, left) = self.left.split_at(length);
        buffer.put_slice(read);
        self.left = left;
        Poll::Ready(Ok(()))
    }
}

impl Write for Peer {
    /// Treats each write as a request.
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        written: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.left = self.answer;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(written.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

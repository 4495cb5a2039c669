//! Servers behind the gateway, in the process of the test.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The body of a response.
pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A server on a free port, until it is dropped.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upstream {
    /// Starts a server that calls a function for each connection.
    pub(crate) async fn of_connections<F, T>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream));
            }
        });
        Self { address, task }
    }

    /// Starts a server that calls a function for each request, over HTTP/1 or 2.
    pub(crate) async fn of_requests<F, T, B>(handle: F) -> Self
    where
        F: Fn(Request<Incoming>) -> T + Clone + Send + Sync + 'static,
        T: Future<Output = Response<B>> + Send + 'static,
        B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
    {
        Self::of_connections(move |stream| {
            let handle = handle.clone();
            let service = service_fn(move |request| {
                let answer = handle(request);
                async { Ok::<_, Infallible>(answer.await) }
            });
            async move {
                let io = TokioIo::new(stream);
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection_with_upgrades(io, service).await;
            }
        })
        .await
    }

    /// Starts a server that answers each connection with these bytes once it has the head of a
    /// request.
    pub(crate) async fn of_bytes(answer: &'static [u8]) -> (Self, Seen) {
        let seen = Seen::default();
        let noted = seen.clone();
        let upstream = Self::of_connections(move |mut stream| {
            let seen = noted.clone();
            async move {
                let mut read = Vec::new();
                while !read.windows(4).any(|end| end == b"\r\n\r\n") {
                    if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                seen.0.lock().unwrap().push(read);
                let _ = stream.write_all(answer).await;
            }
        })
        .await;
        (upstream, seen)
    }

    /// Returns its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// The requests that a server has received, as bytes.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<Vec<u8>>>>);

impl Seen {
    /// Returns the lines of the head of the only request.
    pub(crate) fn only(&self) -> Vec<String> {
        let seen = self.0.lock().unwrap();
        assert_eq!(seen.len(), 1, "one request");
        let text = String::from_utf8_lossy(&seen[0]);
        let head = text.split("\r\n\r\n").next().unwrap();
        head.split("\r\n").map(str::to_owned).collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// Returns a body of one piece.
pub(crate) fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).boxed_unsync()
}

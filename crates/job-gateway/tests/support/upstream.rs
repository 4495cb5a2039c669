//! Servers behind the gateway, in the process of the test.

use std::{
    any::Any,
    convert::Infallible,
    net::SocketAddr,
    panic::{AssertUnwindSafe, resume_unwind},
    sync::{Arc, Mutex},
    thread,
};

use bytes::Bytes;
use futures_util::FutureExt;
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
use tokio_util::task::TaskTracker;

/// The body of a response.
pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A server on a free port, until it is dropped. A test fails with the assertions of its servers.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
    connections: TaskTracker,
    panics: Panics,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
        if !thread::panicking() {
            self.panics.resume();
        }
    }
}

/// The first panic of a server's tasks, which tokio would keep to itself.
#[derive(Clone, Default)]
struct Panics(Arc<Mutex<Option<Box<dyn Any + Send>>>>);

impl Panics {
    /// Returns the output of a future, or none if it panics.
    async fn caught<F: Future>(&self, future: F) -> Option<F::Output> {
        match AssertUnwindSafe(future).catch_unwind().await {
            Ok(output) => Some(output),
            Err(panic) => {
                self.0.lock().unwrap().get_or_insert(panic);
                None
            }
        }
    }

    fn resume(&self) {
        let panic = self.0.lock().unwrap().take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Upstream {
    /// Starts a server that calls a function for each connection.
    pub(crate) async fn of_connections<F, T>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        Self::serving(serve, Panics::default()).await
    }

    async fn serving<F, T>(serve: F, panics: Panics) -> Self
    where
        F: Fn(TcpStream) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = TaskTracker::new();
        let (tracker, noted) = (connections.clone(), panics.clone());
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (serving, noted) = (serve(stream), noted.clone());
                tracker.spawn(async move { noted.caught(serving).await });
            }
        });
        Self {
            address,
            task,
            connections,
            panics,
        }
    }

    /// Waits for the ends of all connections.
    pub(crate) async fn left(&self) {
        self.connections.close();
        super::soon(self.connections.wait()).await;
        self.panics.resume();
    }

    /// Starts a server that calls a function for each request, over HTTP/1 or 2.
    pub(crate) async fn of_requests<F, T, B>(handle: F) -> Self
    where
        F: Fn(Request<Incoming>) -> T + Clone + Send + Sync + 'static,
        T: Future<Output = Response<B>> + Send + 'static,
        B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
    {
        let panics = Panics::default();
        let noted = panics.clone();
        let serve = move |stream| {
            let (handle, noted) = (handle.clone(), noted.clone());
            let service = service_fn(move |request| {
                let (answer, noted) = (handle(request), noted.clone());
                async move { noted.caught(answer).await.ok_or("the handler has panicked") }
            });
            async move {
                let io = TokioIo::new(stream);
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection_with_upgrades(io, service).await;
            }
        };
        Self::serving(serve, panics).await
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
        // Each byte is a character.
        let text: String = seen[0].iter().map(|byte| char::from(*byte)).collect();
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

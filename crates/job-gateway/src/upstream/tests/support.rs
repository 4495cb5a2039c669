use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{
    FutureExt,
    future::{BoxFuture, ready},
};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::{
    io::{
        AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
        DuplexStream, duplex,
    },
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};

use crate::{
    config::Upstream,
    upstream::{
        Body, Client, Error, Incoming,
        connector::{Connect, Transport},
    },
};

/// The settings of a server, with the defaults.
pub(super) fn settings(url: &str) -> Upstream {
    Upstream::new("app", url.parse().unwrap())
}

/// A connector in memory, whose connections a server accepts.
struct Memory {
    is_http2: bool,
    connections: mpsc::UnboundedSender<DuplexStream>,
}

impl Connect for Memory {
    fn connect(&self, http1_only: bool) -> BoxFuture<'_, Result<Transport, Error>> {
        let (near, far) = duplex(16 * 1024);
        self.connections.send(far).unwrap();
        ready(Ok(Transport::new(near, self.is_http2 && !http1_only))).boxed()
    }
}

/// The server of a client in memory.
pub(super) struct Server(mpsc::UnboundedReceiver<DuplexStream>);

/// Creates a client and its server in memory.
pub(super) fn memory(settings: Upstream) -> (Client, Server) {
    let (connections, accepted) = mpsc::unbounded_channel();
    let is_http2 = settings.http2;
    let connector = Memory {
        is_http2,
        connections,
    };
    let client = Client::with_connector(&Arc::new(settings), connector);
    (client, Server(accepted))
}

/// Creates a client of HTTP/1.1 and its server in memory, with the default settings.
pub(super) fn http1() -> (Client, Server) {
    memory(settings("http://app.test"))
}

impl Server {
    /// Accepts the next connection.
    pub(super) async fn accept(&mut self) -> Peer<DuplexStream> {
        Peer::new(self.bytes().await)
    }

    pub(super) async fn bytes(&mut self) -> DuplexStream {
        // On paused time, this is when nothing else happens.
        let accepted = timeout(Duration::from_secs(86_400), self.0.recv()).await;
        accepted
            .expect("the client connects")
            .expect("the client is there")
    }

    /// Returns whether there is a connection that has not been accepted.
    pub(super) fn has_another(&mut self) -> bool {
        !self.0.is_empty()
    }
}

/// The server's end of a connection of HTTP/1.1.
pub(super) struct Peer<T>(BufReader<T>);

impl<T: AsyncRead + AsyncWrite + Unpin> Peer<T> {
    pub(super) fn new(io: T) -> Self {
        Self(BufReader::new(io))
    }

    /// Reads a request with a body of a known length, or `None` at the end of the connection.
    pub(super) async fn read(&mut self) -> Option<String> {
        let mut text = self.read_head().await?;
        let lines = text.lines();
        let length = lines
            .filter_map(|line| line.strip_prefix("content-length: "))
            .next();
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).await.ok()?;
        text.push_str(std::str::from_utf8(&body).unwrap());
        Some(text)
    }

    pub(super) async fn read_head(&mut self) -> Option<String> {
        let mut text = String::new();
        while !text.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut text).await.ok()? == 0 {
                return None;
            }
        }
        Some(text)
    }

    /// Reads some bytes, none at the end of the connection.
    pub(super) async fn read_some(&mut self, length: usize) -> usize {
        let mut bytes = vec![0; length];
        self.0.read(&mut bytes).await.unwrap_or(0)
    }

    pub(super) async fn write(&mut self, text: &str) {
        // The client may have left.
        let _ = self.0.write_all(text.as_bytes()).await;
    }

    /// Writes a response with fields, each with its line end, and a body.
    pub(super) async fn answer(&mut self, fields: &str, body: &str) {
        let length = body.len();
        let text = format!("HTTP/1.1 200 OK\r\n{fields}content-length: {length}\r\n\r\n{body}");
        self.write(&text).await;
    }
}

pub(super) fn request(method: Method, body: &'static str) -> Request<Body> {
    let body = Full::new(Bytes::from_static(body.as_bytes()));
    let body = Body::new(body.map_err(|never| match never {}));
    let builder = Request::builder().method(method).uri("/report?x=1");
    builder.header("host", "client.test").body(body).unwrap()
}

pub(super) fn get() -> Request<Body> {
    request(Method::GET, "")
}

pub(super) fn post(body: &'static str) -> Request<Body> {
    request(Method::POST, body)
}

/// Sends a request in a task.
pub(super) fn send(
    client: &Client,
    request: Request<Body>,
) -> JoinHandle<Result<Response<Incoming>, Error>> {
    let client = client.clone();
    tokio::spawn(async move { client.send(request).await })
}

/// Sends a request and reads its response.
pub(super) async fn text(client: &Client, request: Request<Body>) -> Result<String, Error> {
    let response = client.send(request).await?;
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

/// Waits until no task is left but those of the test.
pub(super) async fn until_tasks(number: usize) {
    let metrics = tokio::runtime::Handle::current().metrics();
    for _ in 0..1_000 {
        if metrics.num_alive_tasks() == number {
            return;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(metrics.num_alive_tasks(), number, "tasks");
}

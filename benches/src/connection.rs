//! Whole servers on one HTTP/1 connection without a socket: hyper's reads are always ready, and its
//! writes are counted and dropped. No client takes part, so that only the server is measured.

use std::{
    cell::RefCell,
    convert::Infallible,
    future::ready,
    io,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use axum::{
    Router,
    extract::Path,
    routing::{get, post},
};
use bytes::Bytes;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    rt::{Read, ReadBufCursor, Write},
    server::conn::http1,
};
use hyper_util::service::TowerToHyperService;
use tokio::{runtime::Runtime, sync::Notify};
use tower::{BoxError, Layer, Service, service_fn};
use tower_async_job::AsyncJobLayer;

use crate::{Body, Case, Entry, peer, runtime, server::immediate, settle};

/// The cases of whole servers.
#[must_use]
pub fn entries() -> Vec<Entry> {
    all()
        .into_iter()
        .map(|(name, make)| Entry { name, make })
        .collect()
}

/// Returns the traffic of the case of this name.
///
/// # Panics
///
/// Panics if there is no such case.
#[must_use]
pub fn tally(name: &str, requests: u64) -> Tally {
    let (_, connection) = connections()
        .into_iter()
        .find(|(known, _)| *known == name)
        .expect("the name of a case");
    connection().tally(requests)
}

macro_rules! connections {
    ($($name:literal => $connection:expr;)*) => {
        fn all() -> Vec<(&'static str, fn() -> Box<dyn Case>)> {
            vec![$(($name, || Box::new($connection))),*]
        }

        fn connections() -> Vec<(&'static str, fn() -> Connection)> {
            vec![$(($name, || $connection)),*]
        }
    };
}

connections! {
    "connection/hyper hello" => Connection::asking(hello, "GET /");
    "connection/axum hello" => Connection::asking(axum_hello, "GET /");
    "connection/axum route" => Connection::asking(axum_route, POLL);
    "connection/axum route, same answer" => Connection::asking(axum_same, POLL);
    "connection/hyper, same answer" => Connection::asking(hyper_same, POLL);
    "connection/hand-written pending" => Connection::polling(hand_written, false);
    "connection/job pending" => Connection::polling(outside, false);
    "connection/job pending, Router::layer" => Connection::polling(within, false);
    "connection/fair hand-written pending" => Connection::polling(fair_hand_written, false);
    "connection/fair hand-written submission" => Connection::asking(fair_hand_written, "POST /report");
    "connection/hand-written done" => Connection::polling(hand_written, true);
    "connection/job done" => Connection::polling(outside, true);
    "connection/job done, Router::layer" => Connection::polling(within, true);
    "connection/axum POST" => Connection::asking(axum_post, "POST /empty");
    "connection/inline POST" => Connection::asking(inline, "POST /empty");
    "connection/inline POST, Router::layer" => Connection::asking(inline_within, "POST /empty");
    "connection/hand-written submission" => Connection::asking(hand_written, "POST /report");
    "connection/job submission" => Connection::asking(outside, "POST /report");
    "connection/job submission, Router::layer" => Connection::asking(within, "POST /report");
}

const POLL: &str = "GET /work/0123456789abcdef0123456789abcdef?poll=1&due=0";

fn hello(_: Arc<Notify>) -> Server {
    server(service_fn(|_: Request<Incoming>| {
        ready(Ok::<_, Infallible>(Response::new(Body::from("hello"))))
    }))
}

fn axum_hello(_: Arc<Notify>) -> Server {
    server(Router::new().route("/", get(|| ready("hello"))))
}

fn axum_route(_: Arc<Notify>) -> Server {
    let hello = |Path(_): Path<String>| ready("hello");
    server(Router::new().route("/work/{id}", get(hello)))
}

fn axum_same(_: Arc<Notify>) -> Server {
    server(peer::bare::router())
}

fn hyper_same(_: Arc<Notify>) -> Server {
    server(service_fn(peer::bare::answer::<Incoming>))
}

fn axum_post(gate: Arc<Notify>) -> Server {
    server(routes(gate))
}

fn hand_written(gate: Arc<Notify>) -> Server {
    server(peer::plain::router(gate))
}

fn fair_hand_written(gate: Arc<Notify>) -> Server {
    server(peer::fair::router(gate))
}

fn routes(gate: Arc<Notify>) -> Router {
    Router::new()
        .route("/report", post(move || peer::work(gate.clone())))
        .route("/empty", post(|| ready(())))
}

/// Stacks the layer around the router.
fn outside(gate: Arc<Notify>) -> Server {
    server(immediate().layer(routes(gate)))
}

/// Stacks the layer on each of the router's routes, and on its fallback.
fn within(gate: Arc<Notify>) -> Server {
    server(routes(gate).layer(immediate()))
}

/// With the layer's defaults.
fn inline(gate: Arc<Notify>) -> Server {
    server(AsyncJobLayer::new().layer(routes(gate)))
}

fn inline_within(gate: Arc<Notify>) -> Server {
    server(routes(gate).layer(AsyncJobLayer::new()))
}

/// A function that serves a number of equal requests on one connection.
type Server = Box<dyn Fn(&Runtime, &Bytes, u64) -> Tally>;

fn server<S, R>(service: S) -> Server
where
    S: Service<Request<Incoming>, Response = Response<R>, Error = Infallible> + Clone + 'static,
    R: hyper::body::Body<Data = Bytes, Error: Into<BoxError>> + 'static,
{
    Box::new(move |runtime, request, requests| {
        let conversation = Conversation::new(request.clone(), requests);
        let tally = conversation.tally.clone();
        let service = TowerToHyperService::new(service.clone());
        runtime
            .block_on(http1::Builder::new().serve_connection(conversation, service))
            .expect("a connection without fault");
        tally.take()
    })
}

/// A server, and the request that is sent to it repeatedly.
struct Connection {
    runtime: Runtime,
    make: fn(Arc<Notify>) -> Server,
    server: Server,
    request: Bytes,
    polls: Option<bool>,
}

impl Connection {
    fn asking(make: fn(Arc<Notify>) -> Server, line: &str) -> Self {
        Self {
            runtime: runtime(),
            make,
            server: make(Arc::default()),
            request: ask(line),
            polls: None,
        }
    }

    /// Polls a job, which has ended if `done` is set.
    fn polling(make: fn(Arc<Notify>) -> Server, done: bool) -> Self {
        let mut connection = Self::asking(make, POLL);
        connection.polls = Some(done);
        connection.begin();
        connection
    }

    fn begin(&mut self) {
        let gate = Arc::new(Notify::new());
        self.server = (self.make)(gate.clone());
        let Some(done) = self.polls else {
            return;
        };
        let accepted = (self.server)(&self.runtime, &ask("POST /report"), 1).last;
        let (_, location) = accepted.split_once("location: ").expect("a Location");
        let (location, _) = location.split_once("\r\n").expect("an end of the line");
        // Polls at the time that the answer announces.
        let location = location.replace("due=1000", "due=0");
        self.request = ask(&format!("GET {location}"));
        let mut expected = "HTTP/1.1 303 ";
        if done {
            expected = "HTTP/1.1 200 ";
            self.runtime.block_on(async {
                settle().await;
                gate.notify_waiters();
                settle().await;
            });
        }
        let answer = self.tally(1).last;
        assert!(answer.starts_with(expected), "not {expected}: {answer}");
    }

    fn tally(&mut self, requests: u64) -> Tally {
        (self.server)(&self.runtime, &self.request, requests)
    }
}

impl Case for Connection {
    fn run(&mut self, iterations: u64) {
        self.tally(iterations);
    }

    fn reset(&mut self) {
        self.runtime = runtime();
        self.begin();
    }
}

fn ask(line: &str) -> Bytes {
    let length = if line.starts_with("POST") {
        "content-length: 0\r\n"
    } else {
        ""
    };
    format!(
        "{line} HTTP/1.1\r\nhost: 127.0.0.1:3000\r\nuser-agent: measured/1.0\r\naccept: */*\r\n\
         {length}\r\n"
    )
    .into()
}

/// The traffic of a connection.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// The number of reads.
    pub reads: u64,
    /// The number of writes.
    pub writes: u64,
    /// The number of written bytes.
    pub bytes: u64,
    /// The data of the last write.
    last: String,
}

/// A client that sends the next request after each answer.
///
/// As on a socket, a request is available one turn of the runtime after the server's first read.
struct Conversation {
    request: Bytes,
    /// The number of requests after the current one.
    left: u64,
    /// The number of bytes of the current request that have been read.
    read: usize,
    /// `true` if the server has written since the request was read.
    written: bool,
    answered: bool,
    /// `true` if the server has tried to read the next request.
    awaited: bool,
    reader: Option<Waker>,
    tally: Rc<RefCell<Tally>>,
}

impl Conversation {
    fn new(request: Bytes, requests: u64) -> Self {
        Self {
            read: request.len(),
            request,
            left: requests,
            written: false,
            answered: true,
            awaited: false,
            reader: None,
            tally: Rc::default(),
        }
    }

    fn write(&mut self, slices: &[io::IoSlice<'_>]) -> usize {
        let written = slices.iter().map(|slice| slice.len()).sum();
        let mut tally = self.tally.borrow_mut();
        tally.writes += 1;
        tally.bytes += written as u64;
        if self.left == 0 {
            tally.last = slices
                .iter()
                .map(|slice| String::from_utf8_lossy(slice))
                .collect();
        }
        self.written = true;
        written
    }
}

impl Read for Conversation {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.read == this.request.len() {
            if !this.answered {
                this.reader = Some(context.waker().clone());
                return Poll::Pending;
            }
            if !std::mem::replace(&mut this.awaited, true) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            if this.left == 0 {
                return Poll::Ready(Ok(()));
            }
            this.awaited = false;
            this.left -= 1;
            this.read = 0;
            this.answered = false;
        }
        let rest = &this.request[this.read..];
        let part = &rest[..rest.len().min(buffer.remaining())];
        buffer.put_slice(part);
        this.read += part.len();
        this.tally.borrow_mut().reads += 1;
        Poll::Ready(Ok(()))
    }
}

impl Write for Conversation {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.write(&[io::IoSlice::new(bytes)])))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.written) {
            self.answered = true;
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.write(slices)))
    }
}

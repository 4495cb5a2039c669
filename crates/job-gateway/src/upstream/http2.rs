//! Connections of HTTP/2, each for as many requests at once as the server allows.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http2::{self, Builder, SendRequest},
    },
    rt::Executor,
};
use hyper_util::rt::TokioIo;
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    body::{Body, Held},
    closer::{self, Idle},
    connector::{Io, Transport},
    error::{Error, Kind},
    lifetime::{self, Lifetime},
};

/// The greatest size of a response's head.
const HEAD_BYTES: u32 = 64 * 1024;

/// The limit of streams before the server has said its own, which is 32 bits long or none at all.
const UNKNOWN: usize = usize::MAX - 1;

/// The time in which a connection that has no more use may say so to a server, which may read nothing.
const CLOSING: Duration = Duration::from_secs(2);

/// The connections that take requests.
#[derive(Default)]
pub(super) struct Connections {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Vec<Open>,
    next: u64,
    has_closer: bool,
}

/// A connection that takes requests.
struct Open {
    number: u64,
    sender: SendRequest<Body>,
    /// The server's limit of streams.
    limit: Arc<AtomicUsize>,
    lifetime: Lifetime,
    in_use: InUse,
    streams: usize,
    is_used: bool,
    /// The time since when it has no stream, if it has none.
    since: Instant,
}

impl Open {
    fn is_over(&self, now: Instant) -> bool {
        let is_overdue = match self.streams {
            0 => now >= self.lifetime.end(self.since),
            _ => self.lifetime.is_over(now),
        };
        is_overdue || self.sender.is_closed()
    }

    fn suits(&self, is_safe: bool, now: Instant) -> bool {
        match self.streams {
            0 => lifetime::suits(is_safe, now - self.since),
            streams => streams < capacity(&self.limit),
        }
    }
}

/// Returns the number of streams that a connection takes: 90 % of the server's limit, since a stream
/// that has ended here may not have ended there, and at least one.
fn capacity(limit: &AtomicUsize) -> usize {
    let limit = limit.load(Ordering::Relaxed);
    let spare = limit.div_ceil(10);
    (limit - spare).max(1)
}

impl Connections {
    /// Takes a stream of the oldest connection that has one, so that the others become idle.
    pub(super) fn take(self: &Arc<Self>, is_safe: bool) -> Option<Connection> {
        let mut state = self.lock();
        let now = Instant::now();
        // The streams of a connection that has become too old end in their own time.
        state.open.retain(|open| !open.is_over(now));
        let mut open = state.open.iter_mut();
        let open = open.find(|open| open.suits(is_safe, now))?;
        open.streams += 1;
        let is_used = std::mem::replace(&mut open.is_used, true);
        Some(Connection {
            sender: open.sender.clone(),
            is_used,
            stream: Stream {
                connections: Arc::downgrade(self),
                number: open.number,
                _in_use: open.in_use.clone(),
            },
        })
    }

    /// Begins HTTP/2 on a connection, and waits for the server's settings. Returns the number of
    /// requests that it takes at once.
    pub(super) async fn open(
        self: &Arc<Self>,
        transport: Transport,
        lifetime: Lifetime,
    ) -> Result<usize, Error> {
        let (progress, unused) = (Arc::new(Notify::new()), CancellationToken::new());
        let in_use = Arc::new(unused.clone().drop_guard());
        let spawner = Spawner {
            progress: progress.clone(),
            unused,
        };
        let handshake = Builder::new(spawner.clone())
            .initial_max_send_streams(UNKNOWN)
            .max_header_list_size(HEAD_BYTES)
            .handshake(transport.io)
            .await;
        let (sender, mut connection) = handshake?;
        while connection.current_max_send_streams() == UNKNOWN {
            tokio::select! {
                biased;
                ended = &mut connection => {
                    ended?;
                    return Err(Error::new(Kind::Reset, "the server has no settings"));
                }
                () = progress.notified() => {}
            }
        }
        let limit = Arc::new(AtomicUsize::new(connection.current_max_send_streams()));
        spawner.execute(drive(connection, limit.clone()));
        let capacity = capacity(&limit);
        self.add(sender, limit, lifetime, in_use);
        Ok(capacity)
    }

    fn add(
        self: &Arc<Self>,
        sender: SendRequest<Body>,
        limit: Arc<AtomicUsize>,
        lifetime: Lifetime,
        in_use: InUse,
    ) {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.open.push(Open {
            number,
            sender,
            limit,
            lifetime,
            in_use,
            streams: 0,
            is_used: false,
            since: Instant::now(),
        });
        self.ensure_closer(&mut state);
    }

    fn release(self: &Arc<Self>, number: u64) {
        let mut state = self.lock();
        let mut open = state.open.iter_mut();
        // A connection that takes no more requests is not there.
        let Some(open) = open.find(|open| open.number == number) else {
            return;
        };
        open.streams -= 1;
        open.since = Instant::now();
        self.ensure_closer(&mut state);
    }

    fn ensure_closer(self: &Arc<Self>, state: &mut State) {
        if !state.has_closer {
            state.has_closer = true;
            closer::spawn(self);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle for Connections {
    fn close_overdue(&self, now: Instant) -> Option<Instant> {
        let mut state = self.lock();
        state.open.retain(|open| !open.is_over(now));
        let idle = state.open.iter().filter(|open| open.streams == 0);
        let next = idle.map(|open| open.lifetime.end(open.since)).min();
        state.has_closer = next.is_some();
        next
    }
}

/// A stream that has no request.
pub(super) struct Connection {
    sender: SendRequest<Body>,
    is_used: bool,
    stream: Stream,
}

impl Connection {
    /// Returns whether the connection has had another request.
    pub(super) fn is_used(&self) -> bool {
        self.is_used
    }

    /// Sends a request. The stream counts until the response has ended.
    ///
    /// # Errors
    ///
    /// The error has the request if nothing of it was written.
    pub(super) async fn send(
        mut self,
        request: Request<Body>,
    ) -> Result<Response<Held<Incoming, Stream>>, TrySendError<Request<Body>>> {
        let response = self.sender.try_send_request(request).await?;
        Ok(response.map(|body| Held::new(body, Some(self.stream))))
    }
}

/// A stream that counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Stream {
    connections: Weak<Connections>,
    number: u64,
    _in_use: InUse,
}

/// Keeps the tasks of a connection. They end soon after the last clone is dropped.
type InUse = Arc<DropGuard>;

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(connections) = self.connections.upgrade() {
            connections.release(self.number);
        }
    }
}

type Driven = http2::Connection<TokioIo<Box<dyn Io>>, Body, Spawner>;

/// Moves the requests of a connection until it ends, and follows the server's limit of streams. Its
/// errors are those of its requests.
async fn drive(mut connection: Driven, limit: Arc<AtomicUsize>) {
    poll_fn(|cx| {
        let polled = Pin::new(&mut connection).poll(cx);
        limit.store(connection.current_max_send_streams(), Ordering::Relaxed);
        polled.map(drop)
    })
    .await;
}

/// Spawns the tasks of a connection, and notifies of their progress: the server's settings come with it.
#[derive(Clone)]
struct Spawner {
    progress: Arc<Notify>,
    /// Is cancelled once the connection has no more use.
    unused: CancellationToken,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Spawner {
    fn execute(&self, task: F) {
        let Self { progress, unused } = self.clone();
        tokio::spawn(async move {
            let mut task = pin!(task);
            let working = poll_fn(|cx| {
                let polled = task.as_mut().poll(cx);
                progress.notify_one();
                polled
            });
            let overdue = async {
                unused.cancelled().await;
                sleep(CLOSING).await;
            };
            tokio::select! {
                biased;
                () = working => {}
                () = overdue => {}
            }
        });
    }
}

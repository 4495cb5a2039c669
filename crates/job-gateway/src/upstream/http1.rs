//! Connections of HTTP/1.1, each for one request at a time.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::Poll,
};

use http::{
    HeaderValue, Request, Response,
    header::{CONNECTION, TE},
};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{Builder, SendRequest},
    },
};
use tokio::time::Instant;

use super::{
    body::Body,
    closer::{self, Idle},
    connector::Transport,
    error::Error,
    lifetime::{self, Lifetime},
    wire::{Interim, Wire},
};

/// The greatest size of a response's head.
const HEAD_BYTES: usize = 64 * 1024;

/// The idle connections to a server.
#[derive(Default)]
pub(super) struct Connections {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The idle connections with the times since when they are, the longest first.
    idle: Vec<(Connection, Instant)>,
    has_closer: bool,
}

impl Connections {
    /// Takes the connection that has been idle for the shortest time, if it may take the request.
    pub(super) fn take(&self, is_safe: bool) -> Option<Connection> {
        let mut state = self.lock();
        let now = Instant::now();
        while let Some((connection, since)) = state.idle.pop() {
            if connection.sender.is_closed() || now >= connection.lifetime.end(since) {
                continue;
            }
            if !lifetime::suits(is_safe, now - since) {
                // A request whose method is safe may take it. The others have been idle for longer.
                state.idle.push((connection, since));
                return None;
            }
            return Some(connection);
        }
        None
    }

    /// Adds a connection that is idle from now on.
    pub(super) fn put(self: &Arc<Self>, connection: Connection) {
        let mut state = self.lock();
        let now = Instant::now();
        if now >= connection.lifetime.end(now) {
            return;
        }
        state.idle.push((connection, now));
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
        state.idle.retain(|(connection, since)| {
            now < connection.lifetime.end(*since) && !connection.sender.is_closed()
        });
        let ends = state.idle.iter();
        let next = ends
            .map(|(connection, since)| connection.lifetime.end(*since))
            .min();
        state.has_closer = next.is_some();
        next
    }
}

/// A connection that has no request.
pub(super) struct Connection {
    sender: SendRequest<Body>,
    interim: Interim,
    lifetime: Lifetime,
    is_used: bool,
    way_back: Arc<WayBack>,
}

/// The way of a connection back to the idle ones once it has served a request.
struct WayBack {
    connections: Weak<Connections>,
    /// The connection, while the rest of a request or a response is on it.
    busy: Mutex<Option<Busy>>,
}

type Busy = (SendRequest<Body>, Interim, Lifetime);

impl Connection {
    /// Begins HTTP/1.1 on a connection, which joins the idle ones after each request. Without these, it
    /// closes after its first request.
    pub(super) async fn open(
        transport: Transport,
        lifetime: Lifetime,
        connections: Weak<Connections>,
    ) -> Result<Self, Error> {
        let interim = Interim::default();
        let io = Wire::new(transport.io, interim.clone());
        let handshake = Builder::new()
            .max_header_size(HEAD_BYTES)
            .handshake(io)
            .await;
        let (sender, connection) = handshake?;
        let way_back = Arc::new(WayBack {
            connections,
            busy: Mutex::default(),
        });
        tokio::spawn(drive(connection.with_upgrades(), way_back.clone()));
        Ok(Self {
            sender,
            interim,
            lifetime,
            is_used: false,
            way_back,
        })
    }

    /// Returns whether the connection has served a request.
    pub(super) fn is_used(&self) -> bool {
        self.is_used
    }

    /// Sends a request. Once the response has ended, the connection is idle again.
    ///
    /// # Errors
    ///
    /// The error has the request if nothing of it was written.
    pub(super) async fn send(
        mut self,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Body>>> {
        self.interim.begin(&mut request);
        if request.headers().contains_key(TE) {
            // It concerns this connection alone (RFC 9110, section 10.1.4).
            let named = HeaderValue::from_static("te");
            request.headers_mut().append(CONNECTION, named);
        }
        let response = self.sender.try_send_request(request).await?;
        self.lifetime.read(response.headers());
        *self.way_back.lock() = Some((self.sender, self.interim, self.lifetime));
        self.way_back.proceed();
        Ok(response)
    }
}

impl WayBack {
    /// Returns the connection to the idle ones if the response has ended.
    ///
    /// It is called by both sides that this depends on: when the connection's task has made progress,
    /// and when the connection has been laid here.
    fn proceed(self: &Arc<Self>) {
        let mut busy = self.lock();
        let Some((sender, ..)) = &*busy else { return };
        if !sender.is_ready() && !sender.is_closed() {
            return;
        }
        let returned = busy.take();
        drop(busy);
        if let Some((sender, interim, lifetime)) = returned
            && let Some(connections) = self.connections.upgrade()
        {
            connections.put(Connection {
                sender,
                interim,
                lifetime,
                is_used: true,
                way_back: self.clone(),
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Busy>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Moves the bytes of a connection until it ends. Its errors are those of its requests.
async fn drive<C: Future + Unpin>(connection: C, way_back: Arc<WayBack>) {
    let mut connection = Some(connection);
    poll_fn(|cx| {
        let has_ended = match &mut connection {
            Some(connection) => Pin::new(connection).poll(cx).is_ready(),
            None => true,
        };
        if has_ended {
            // Its sender is closed from now on.
            connection = None;
        }
        way_back.proceed();
        match has_ended {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

//! The connections to one server, of both versions of HTTP.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use http::{Request, Response};
use hyper::client::conn::TrySendError;

use super::{
    body::{Body, Held},
    connector::{Connect, in_time},
    error::{Error, Kind},
    http1, http2,
    lifetime::Lifetime,
    target,
};
use crate::config::Upstream;

/// The body of a response.
pub(crate) type Incoming = Held<hyper::body::Incoming, http2::Stream>;

/// The number of requests that wait for one connection before the server has said how many it takes: the
/// least that it is advised to take (RFC 9113, section 6.5.2).
const ASSUMED_CAPACITY: usize = 100;

/// The connections to one server.
pub(super) struct Pool {
    upstream: Arc<Upstream>,
    connector: Box<dyn Connect>,
    http1: Arc<http1::Connections>,
    http2: Arc<http2::Connections>,
    attempts: Mutex<Attempts>,
}

/// The connections that are being made, if these may be of HTTP/2.
struct Attempts {
    /// The number of requests that the last connection took at once.
    capacity: usize,
    attempts: Vec<Attempt>,
    next: u64,
}

struct Attempt {
    number: u64,
    /// The number of requests that wait for it.
    requests: usize,
    connected: Connected,
}

type Connected = Shared<BoxFuture<'static, Result<(), Error>>>;

impl Pool {
    pub(super) fn new(upstream: &Arc<Upstream>, connector: impl Connect + 'static) -> Arc<Self> {
        Arc::new(Self {
            upstream: upstream.clone(),
            connector: Box::new(connector),
            http1: Arc::default(),
            http2: Arc::default(),
            attempts: Mutex::new(Attempts {
                capacity: ASSUMED_CAPACITY,
                attempts: Vec::new(),
                next: 0,
            }),
        })
    }

    /// Takes an idle connection that suits a request, or makes one.
    ///
    /// # Errors
    ///
    /// Fails if none can be made.
    pub(super) async fn take(self: &Arc<Self>, is_safe: bool) -> Result<Connection, Error> {
        if !self.may_speak_http2() {
            let connection = match self.http1.take(is_safe) {
                Some(connection) => connection,
                // Apart, so that requests on idle connections need no memory for it.
                None => Box::pin(self.connect_http1(Arc::downgrade(&self.http1))).await?,
            };
            return Ok(self.connection(Version::Http1(connection)));
        }
        loop {
            let connected = {
                let mut attempts = self.lock();
                if let Some(connection) = self.http2.take(is_safe) {
                    return Ok(self.connection(Version::Http2(connection)));
                }
                if let Some(connection) = self.http1.take(is_safe) {
                    return Ok(self.connection(Version::Http1(connection)));
                }
                attempts.join(self)
            };
            connected.await?;
        }
    }

    /// Makes a connection of HTTP/1.1 for one request.
    ///
    /// # Errors
    ///
    /// Fails if none can be made.
    pub(super) async fn connect_unshared(&self) -> Result<Connection, Error> {
        let connection = self.connect_http1(Weak::new()).await?;
        Ok(self.connection(Version::Http1(connection)))
    }

    fn may_speak_http2(&self) -> bool {
        match self.upstream.url.scheme_str() {
            Some("h2c") => true,
            Some("https") => self.upstream.http2,
            _ => false,
        }
    }

    async fn connect_http1(
        &self,
        connections: Weak<http1::Connections>,
    ) -> Result<http1::Connection, Error> {
        in_time(&self.upstream, async {
            let transport = self.connector.connect(true).await?;
            let lifetime = Lifetime::new(&self.upstream);
            http1::Connection::open(transport, lifetime, connections).await
        })
        .await
    }

    /// Makes a connection, of the version that the server speaks, and adds it to the idle ones. Returns
    /// the number of requests that it takes at once.
    async fn connect(&self) -> Result<usize, Error> {
        in_time(&self.upstream, async {
            let transport = self.connector.connect(false).await?;
            let lifetime = Lifetime::new(&self.upstream);
            if transport.is_http2 {
                return self.http2.open(transport, lifetime).await;
            }
            let connections = Arc::downgrade(&self.http1);
            let opening = http1::Connection::open(transport, lifetime, connections);
            self.http1.put(opening.await?);
            Ok(1)
        })
        .await
    }

    fn connection(&self, version: Version) -> Connection {
        Connection {
            upstream: self.upstream.clone(),
            version,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.upstream.url;
        f.debug_struct("Pool")
            .field("url", url)
            .finish_non_exhaustive()
    }
}

impl Attempts {
    /// Joins the requests that wait for a connection, or makes another one.
    fn join(&mut self, pool: &Arc<Pool>) -> Connected {
        // One whose task has failed would be there for ever.
        self.attempts
            .retain(|attempt| attempt.connected.peek().is_none());
        let capacity = self.capacity;
        let mut attempts = self.attempts.iter_mut();
        if let Some(attempt) = attempts.find(|attempt| attempt.requests < capacity) {
            attempt.requests += 1;
            return attempt.connected.clone();
        }
        let number = self.next;
        self.next += 1;
        let connected = connect(pool.clone(), number);
        self.attempts.push(Attempt {
            number,
            requests: 1,
            connected: connected.clone(),
        });
        connected
    }
}

/// Makes a connection in a task of its own, since several requests wait for it.
fn connect(pool: Arc<Pool>, number: u64) -> Connected {
    let task = tokio::spawn(async move {
        let connected = pool.connect().await;
        let mut attempts = pool.lock();
        attempts.attempts.retain(|attempt| attempt.number != number);
        attempts.capacity = connected?;
        Ok(())
    });
    let connected = async {
        let connected = task.await;
        connected.unwrap_or_else(|failed| Err(Error::new(Kind::Refused, failed)))
    };
    connected.boxed().shared()
}

/// A connection for a request.
pub(super) struct Connection {
    upstream: Arc<Upstream>,
    version: Version,
}

enum Version {
    Http1(http1::Connection),
    Http2(http2::Connection),
}

impl Connection {
    /// Returns whether the connection has had another request.
    pub(super) fn is_used(&self) -> bool {
        match &self.version {
            Version::Http1(connection) => connection.is_used(),
            Version::Http2(connection) => connection.is_used(),
        }
    }

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// The error has the request if nothing of it was written.
    pub(super) async fn send(
        self,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Body>>> {
        match self.version {
            Version::Http1(connection) => {
                target::to_http1(&mut request, &self.upstream);
                let response = connection.send(request).await?;
                Ok(response.map(|body| Held::new(body, None)))
            }
            Version::Http2(connection) => {
                target::to_http2(&mut request, &self.upstream);
                connection.send(request).await
            }
        }
    }
}

//! The servers behind the gateway: connections to them, and the requests on these.
//!
//! A request takes a connection that is idle, or a new one. Which idle connection it may take is
//! narrower than what hyper-util's pools know, so the pool is the gateway's own:
//!
//! - No connection is idle for longer than the settings allow, nor for longer than a second less than
//!   the server says in `Keep-Alive: timeout`. A request whose method is not safe takes none that has
//!   been idle for over a second: servers close such connections without a word, and a request that
//!   meets the end of its connection may have been carried out.
//! - A connection takes no request after its greatest age, and names are resolved for each connection,
//!   so that a server which has moved is found.
//! - Over HTTP/2, another connection opens before the server's limit of streams is reached.
//!
//! A request is sent again only if hyper gives it back, which means that nothing of it was written.
//!
//! ```text
//! Client → Pool → Connector → TCP, TLS
//!            ↳ http1::Connection, http2::Connection
//! ```
//!
//! Dropping the future of a request cancels it: over HTTP/1 its connection closes, over HTTP/2 its
//! stream is reset. Dropping all clones of a client closes the idle connections.

mod body;
mod closer;
mod connector;
mod error;
mod http1;
mod http2;
mod lifetime;
mod pool;
mod target;
#[cfg(test)]
mod tests;
mod tls;
mod wire;

use std::{fmt, sync::Arc};

use http::{Request, Response, header::UPGRADE};

pub(crate) use self::{
    body::{Body, Held},
    error::{Error, Kind},
    pool::Incoming,
};
use self::{
    connector::{Connect, Connector},
    pool::Pool,
};
use crate::config::Upstream;

/// A client of one server. Clones share their connections.
#[derive(Clone)]
pub(crate) struct Client {
    pool: Arc<Pool>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.pool).finish()
    }
}

impl Client {
    /// Creates a client, without a connection.
    ///
    /// # Errors
    ///
    /// Fails if the server's certificate could not be verified.
    pub(crate) fn new(upstream: &Arc<Upstream>) -> Result<Self, String> {
        let connector = Connector::new(upstream)?;
        Ok(Self::with_connector(upstream, connector))
    }

    fn with_connector(upstream: &Arc<Upstream>, connector: impl Connect + 'static) -> Self {
        Self {
            pool: Pool::new(upstream, connector),
        }
    }

    /// Sends a request, and waits for the head of the response. The server is that of the settings,
    /// whatever the target says; `Host` is kept.
    ///
    /// A request with `Upgrade` is sent over HTTP/1.1 on a connection that no other request uses.
    ///
    /// # Errors
    ///
    /// Fails if there is no connection or no response. Waits for the head without a limit.
    pub(crate) async fn send(
        &self,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, Error> {
        if request.headers().contains_key(UPGRADE) {
            let connection = Box::pin(self.pool.connect_unshared()).await?;
            return Ok(connection.send(request).await?);
        }
        let is_safe = request.method().is_safe();
        loop {
            let connection = self.pool.take(is_safe).await?;
            let is_used = connection.is_used();
            let mut failed = match connection.send(request).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            match failed.take_message() {
                Some(unsent) if is_used => request = unsent,
                _ => return Err(failed.into()),
            }
        }
    }
}

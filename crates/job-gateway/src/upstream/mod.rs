//! The servers behind the gateway.

use std::{error::Error as _, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, Uri, uri::Scheme};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tower::BoxError;

use crate::config::Upstream;

/// The body of a request to a server.
pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A client of one server. Clones share their connections.
#[derive(Clone)]
pub(crate) struct Client {
    upstream: Arc<Upstream>,
    inner: legacy::Client<HttpConnector, Body>,
}

impl Client {
    pub(crate) fn new(upstream: &Arc<Upstream>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(upstream.connect_timeout));
        connector.set_nodelay(true);
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(upstream.idle_timeout)
            .http2_only(upstream.http2)
            .set_host(false)
            .build(connector);
        Self {
            upstream: upstream.clone(),
            inner,
        }
    }

    /// Sends a request, whose target has no authority: it is that of the server.
    pub(crate) async fn send(
        &self,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, Error> {
        let mut uri = request.uri().clone().into_parts();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = self.upstream.url.authority().cloned();
        uri.path_and_query
            .get_or_insert_with(|| "/".parse().expect("a path"));
        *request.uri_mut() = Uri::from_parts(uri).expect("a URL with all parts");
        self.inner.request(request).await.map_err(Error::of)
    }
}

/// A request without a response.
#[derive(Debug)]
pub(crate) struct Error {
    kind: Kind,
    source: BoxError,
}

/// The reason for which a request has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The server accepts no connection.
    Refused,
    /// No connection was made in time.
    ConnectTimeout,
    /// The server's certificate is not accepted.
    Tls,
    /// The connection ended before the head of a response.
    Reset,
    /// The head of the response did not arrive in time.
    Timeout,
    /// The response is no HTTP.
    Unreadable,
}

impl Error {
    fn of(error: legacy::Error) -> Self {
        let mut kind = match error.is_connect() {
            true => Kind::Refused,
            false => Kind::Reset,
        };
        let mut cause = error.source();
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<hyper::Error>()
                && error.is_parse()
            {
                kind = Kind::Unreadable;
            }
            if let Some(error) = error.downcast_ref::<std::io::Error>()
                && error.kind() == std::io::ErrorKind::TimedOut
                && kind == Kind::Refused
            {
                kind = Kind::ConnectTimeout;
            }
            cause = error.source();
        }
        Self {
            kind,
            source: error.into(),
        }
    }

    /// Returns the error of a response whose head has not arrived in time.
    pub(crate) fn timeout(after: Duration) -> Self {
        Self {
            kind: Kind::Timeout,
            source: format!("no response within {after:?}").into(),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Refused => "the server accepts no connection",
            Kind::ConnectTimeout => "no connection was made in time",
            Kind::Tls => "the server's certificate is not accepted",
            Kind::Reset => "the connection ended before a response",
            Kind::Timeout => "the response did not arrive in time",
            Kind::Unreadable => "the response is no HTTP",
        })
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}

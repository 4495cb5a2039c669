//! The connections to a server: its name, TCP, TLS.

use std::{io, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use hyper_util::{
    client::legacy::connect::{HttpConnector, dns::GaiResolver},
    rt::TokioIo,
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tower::{BoxError, Service, ServiceExt};

use super::{
    error::{Error, Kind, is_io},
    tls,
};
use crate::config::Upstream;

/// The time after which the system asks whether a silent server is still there. A response may take
/// hours, and a server that has lost its power sends nothing more.
const PROBE_AFTER: Duration = Duration::from_secs(30);
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;

/// A connection's bytes.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection, on which nothing has been sent.
pub(super) struct Transport {
    pub(super) io: TokioIo<Box<dyn Io>>,
    pub(super) is_http2: bool,
}

impl Transport {
    pub(super) fn new(io: impl Io + 'static, is_http2: bool) -> Self {
        Self {
            io: TokioIo::new(Box::new(io)),
            is_http2,
        }
    }
}

/// A maker of connections.
pub(super) trait Connect: Send + Sync {
    /// Makes a connection, for HTTP/1 only or for any version of the settings.
    fn connect(&self, http1_only: bool) -> BoxFuture<'_, Result<Transport, Error>>;
}

/// A maker of connections by TCP and TLS.
pub(super) struct Connector<R = GaiResolver> {
    upstream: Arc<Upstream>,
    tcp: HttpConnector<R>,
    tls: Option<Tls>,
}

struct Tls {
    server: ServerName<'static>,
    /// Offers HTTP/1.1.
    http1: Arc<ClientConfig>,
    /// Offers what the settings allow.
    any: Arc<ClientConfig>,
}

impl Connector {
    /// Creates a connector with the system's resolver.
    ///
    /// # Errors
    ///
    /// Fails if the server's certificate could not be verified.
    pub(super) fn new(upstream: &Arc<Upstream>) -> Result<Self, String> {
        Self::with_resolver(upstream, GaiResolver::new())
    }
}

impl<R> Connector<R> {
    /// Creates a connector that asks a resolver for each connection.
    ///
    /// # Errors
    ///
    /// Fails if the server's certificate could not be verified.
    pub(super) fn with_resolver(upstream: &Arc<Upstream>, resolver: R) -> Result<Self, String> {
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Divided among the addresses of a name, so that each has its turn.
        tcp.set_connect_timeout(Some(upstream.connect_timeout));
        tcp.set_keepalive(Some(PROBE_AFTER));
        tcp.set_keepalive_interval(Some(PROBE_INTERVAL));
        tcp.set_keepalive_retries(Some(PROBES));
        let tls = match upstream.url.scheme_str() {
            Some("https") => Some(Tls::new(upstream)?),
            _ => None,
        };
        Ok(Self {
            upstream: upstream.clone(),
            tcp,
            tls,
        })
    }
}

impl Tls {
    fn new(upstream: &Upstream) -> Result<Self, String> {
        let host = upstream.url.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let server = ServerName::try_from(host.to_owned());
        let mut http1 = tls::config(upstream)?;
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut any = http1.clone();
        if upstream.http2 {
            any.alpn_protocols.insert(0, b"h2".to_vec());
        }
        Ok(Self {
            server: server.map_err(|error| format!("{host} has no certificates: {error}"))?,
            http1: Arc::new(http1),
            any: Arc::new(any),
        })
    }

    async fn connect(&self, tcp: TcpStream, http1_only: bool) -> Result<Transport, io::Error> {
        let config = match http1_only {
            true => &self.http1,
            false => &self.any,
        };
        let connector = TlsConnector::from(config.clone());
        let stream = connector.connect(self.server.clone(), tcp).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Transport::new(stream, is_http2))
    }
}

impl<R> Connect for Connector<R>
where
    HttpConnector<R>: Service<http::Uri, Response = TokioIo<TcpStream>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + Sync,
{
    fn connect(&self, http1_only: bool) -> BoxFuture<'_, Result<Transport, Error>> {
        let connecting = async move {
            let tcp = self.tcp.clone().oneshot(self.upstream.url.clone()).await;
            let tcp = tcp.map_err(|error| unconnected(error.into()))?.into_inner();
            match &self.tls {
                Some(tls) => {
                    let connected = tls.connect(tcp, http1_only).await;
                    connected.map_err(|error| Error::new(Kind::Tls, error))
                }
                None => {
                    let knows_http2 = self.upstream.url.scheme_str() == Some("h2c");
                    Ok(Transport::new(tcp, knows_http2 && !http1_only))
                }
            }
        };
        Box::pin(connecting)
    }
}

fn unconnected(error: BoxError) -> Error {
    let kind = match is_io(&*error, io::ErrorKind::TimedOut) {
        true => Kind::ConnectTimeout,
        false => Kind::Refused,
    };
    Error::new(kind, error)
}

/// Limits the time of a connection.
///
/// # Errors
///
/// Fails as the connection does, or at the end of that time.
pub(super) async fn in_time<T>(
    upstream: &Upstream,
    connecting: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let limit = upstream.connect_timeout;
    let connected = timeout(limit, connecting).await;
    connected.unwrap_or_else(|_| {
        let text = format!("no connection within {limit:?}");
        Err(Error::new(Kind::ConnectTimeout, text))
    })
}

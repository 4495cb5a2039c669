//! Connections to hosts that are called back, to public addresses only.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use ipnet::IpNet;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::address::is_public;

/// The number of a name's addresses that are tried.
const ADDRESSES: usize = 4;

/// The time for one of them.
const ADDRESS_TIME: Duration = Duration::from_secs(4);

/// Returns the addresses of a name.
pub(super) type Resolve =
    Arc<dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Returns the system's resolver.
pub(super) fn system() -> Resolve {
    Arc::new(|host, port| Box::pin(async move { Ok(lookup_host((host, port)).await?.collect()) }))
}

/// A maker of connections. Whatever names an address, it is checked here, where it is used.
pub(super) struct Connector {
    pub(super) resolve: Resolve,
    pub(super) tls: Arc<ClientConfig>,
    /// The special networks that may be called all the same.
    pub(super) allowed: Vec<IpNet>,
}

impl Connector {
    /// Connects to a host, and verifies its certificate.
    ///
    /// # Errors
    ///
    /// Fails if no address of the host may be called, or if none answers.
    pub(super) async fn connect(&self, host: &str, port: u16) -> io::Result<TlsStream<TcpStream>> {
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = match literal.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => (self.resolve)(host.to_owned(), port).await?,
        };
        let name = ServerName::try_from(literal.to_owned()).map_err(io::Error::other)?;
        let stream = self.open(&addresses).await?;
        TlsConnector::from(self.tls.clone())
            .connect(name, stream)
            .await
    }

    async fn open(&self, addresses: &[SocketAddr]) -> io::Result<TcpStream> {
        let allowed = addresses.iter().filter(|it| self.may_call(it.ip()));
        let mut failed = io::Error::new(
            io::ErrorKind::PermissionDenied,
            "it has no address that may be called: see `allow_networks`",
        );
        for address in allowed.take(ADDRESSES) {
            match timeout(ADDRESS_TIME, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failed = error,
                Err(late) => failed = late.into(),
            }
        }
        Err(failed)
    }

    fn may_call(&self, address: IpAddr) -> bool {
        is_public(address) || self.allowed.iter().any(|net| net.contains(&address))
    }
}

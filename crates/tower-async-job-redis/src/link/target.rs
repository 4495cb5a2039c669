use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    RedisResult, ServerErrorKind, TlsCertificates, cluster::ClusterClient, io::tcp::TcpSettings,
};

use super::{connection::Connection, sentinel::Sentinel};

/// The servers to connect to.
#[derive(Clone)]
pub(crate) struct Target {
    servers: Vec<ConnectionInfo>,
    /// The master that the servers, which are Sentinels, are asked for.
    sentinel: Option<Sentinel>,
    certificates: Option<TlsCertificates>,
    pub(crate) is_cluster: bool,
    /// The time that one answer may take.
    response_timeout: Duration,
    /// The number of times that the master was found to be another server.
    changes: Arc<AtomicU64>,
}

impl Target {
    pub(crate) fn new(
        urls: &[String],
        sentinel: Option<Sentinel>,
        root_certificate: Option<Vec<u8>>,
        response_timeout: Duration,
    ) -> RedisResult<Self> {
        let server = |url: &String| {
            let server = url.as_str().into_connection_info()?;
            if matches!(server.addr(), ConnectionAddr::TcpTls { .. }) {
                provide_cryptography();
            }
            Ok(server.set_tcp_settings(TcpSettings::default().set_nodelay(true)))
        };
        Ok(Self {
            servers: urls.iter().map(server).collect::<RedisResult<_>>()?,
            sentinel,
            certificates: root_certificate.map(|root| TlsCertificates {
                client_tls: None,
                root_cert: Some(root),
            }),
            is_cluster: false,
            response_timeout,
            changes: Arc::default(),
        })
    }

    /// Returns the number of changes of the master.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Notes that the master is another server than it was after this number of changes, so that all
    /// links connect again.
    pub(super) fn note_change(&self, known: u64) {
        // An error: another call was first.
        let _ =
            (self.changes).compare_exchange(known, known + 1, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Allows answers to take that much longer, for commands that wait.
    pub(crate) fn with_patience(mut self, more: Duration) -> Self {
        self.response_timeout += more;
        self
    }

    pub(crate) async fn connect(&self, timeout: Duration) -> RedisResult<Connection> {
        if self.is_cluster {
            return self.connect_cluster(timeout).await;
        }
        let (mut replica, mut failed) = (None, None);
        // A server that does not answer leaves time for the others.
        let timeout = timeout / self.servers.len().max(1) as u32;
        for server in &self.servers {
            let connected = match &self.sentinel {
                Some(sentinel) => self.connect_by(sentinel, server, timeout).await,
                None => self.connect_to(server, timeout).await,
            };
            match connected {
                Ok(mut connection) => match self.servers.len() > 1 && connection.is_replica().await
                {
                    true => replica = Some(connection),
                    false => return Ok(connection),
                },
                Err(error) => failed = Some(error),
            }
        }
        replica.ok_or_else(|| {
            failed.unwrap_or_else(|| {
                (redis::ErrorKind::InvalidClientConfig, "no server is given").into()
            })
        })
    }

    /// Connects to the master that this Sentinel knows.
    async fn connect_by(
        &self,
        sentinel: &Sentinel,
        address: &ConnectionInfo,
        timeout: Duration,
    ) -> RedisResult<Connection> {
        let mut asked = self.connect_to(&sentinel.at(address), timeout).await?;
        let master = sentinel.find(&mut asked, address).await?;
        let mut connection = self.connect_to(&master, timeout).await?;
        if connection.is_replica().await {
            let kind = ErrorKind::Server(ServerErrorKind::MasterDown);
            return Err((kind, "the master of the Sentinel has become a replica").into());
        }
        Ok(connection)
    }

    async fn connect_to(
        &self,
        server: &ConnectionInfo,
        timeout: Duration,
    ) -> RedisResult<Connection> {
        let client = match &self.certificates {
            Some(certificates) => Client::build_with_tls(server.clone(), certificates.clone())?,
            None => Client::open(server.clone())?,
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(Some(self.response_timeout));
        let connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        Ok(Connection::Single(connection))
    }

    async fn connect_cluster(&self, timeout: Duration) -> RedisResult<Connection> {
        let mut builder = ClusterClient::builder(self.servers.clone())
            .connection_timeout(timeout)
            .response_timeout(self.response_timeout)
            .overall_response_timeout(Some(self.response_timeout))
            .tcp_settings(TcpSettings::default().set_nodelay(true));
        if let Some(certificates) = &self.certificates {
            builder = builder.certs(certificates.clone());
        }
        let connection = builder.build()?.get_async_connection().await?;
        Ok(Connection::Cluster(connection))
    }
}

/// Shows the servers, such as `10.0.0.1:6379`, without names of users and passwords.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, server) in self.servers.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}", server.addr())?;
        }
        if let Some(sentinel) = &self.sentinel {
            write!(f, ", master {}", sentinel.master)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("servers", &self.to_string())
            .field("is_cluster", &self.is_cluster)
            .finish_non_exhaustive()
    }
}

/// Lets connections be encrypted by ring, unless the application has chosen another library.
fn provide_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

use std::{fmt, sync::Arc, time::Duration};

use tower_async_job_core::{Clock, StoreProperties};

use crate::{
    check::{self, Wish},
    engine::Engine,
    error::ConnectError,
    events::BLOCK,
    keys::Keys,
    link::{Link, Sentinel, Target},
    operation::LARGEST_RESULT,
    settings::{Durability, Settings},
    store::RedisStore,
    time::StoreClock,
    watch,
};

/// The number of connections to one server for calls.
const CONNECTIONS: usize = 4;

/// The size of a chunk, in bytes.
const CHUNK: usize = 256 << 10;

impl RedisStore {
    /// Connects to the server or the cluster at this address with the default settings.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be reached, or would lose jobs; see [`ConnectError`].
    pub async fn connect(url: impl Into<String>) -> Result<Self, ConnectError> {
        Self::builder([url]).connect().await
    }

    /// Returns a builder with the default settings, for the server or the cluster at these
    /// addresses. Of a cluster, some nodes are enough. Of a master and its replicas, the first
    /// server that is a master is used, also after a failover; see also
    /// [`sentinel`](RedisStoreBuilder::sentinel).
    ///
    /// An address is `redis://[user][:password@]host[:port][/database]`, or `rediss://…` with TLS.
    pub fn builder(urls: impl IntoIterator<Item = impl Into<String>>) -> RedisStoreBuilder {
        RedisStoreBuilder {
            urls: urls.into_iter().map(Into::into).collect(),
            root_certificate: None,
            cluster: None,
            sentinel: None,
            sentinel_login: None,
            prefix: "jobs".to_owned(),
            lease: Duration::from_secs(30),
            operation_timeout: Duration::from_secs(5),
            chunk: CHUNK,
            accept_loss: false,
            replicas: 0,
            flush: false,
            fallback: Duration::from_secs(1),
            clock: StoreClock::default(),
        }
    }
}

/// A builder of [`RedisStore`]s.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use tower_async_job_core::JobStore;
/// use tower_async_job_redis::RedisStore;
///
/// let store = RedisStore::builder(["redis://10.0.0.1", "redis://10.0.0.2"])
///     .prefix("shop")
///     .lease_duration(Duration::from_secs(10))
///     .replicas(1)
///     .connect()
///     .await?;
/// assert_eq!(store.properties().lease, Some(Duration::from_secs(10)));
/// # Ok(()) }
/// ```
#[must_use]
pub struct RedisStoreBuilder {
    urls: Vec<String>,
    root_certificate: Option<Vec<u8>>,
    cluster: Option<bool>,
    sentinel: Option<String>,
    sentinel_login: Option<(String, String)>,
    prefix: String,
    lease: Duration,
    operation_timeout: Duration,
    chunk: usize,
    accept_loss: bool,
    replicas: u32,
    flush: bool,
    fallback: Duration,
    clock: StoreClock,
}

impl RedisStoreBuilder {
    /// Sets the prefix of all keys; `jobs` by default. Stores with different prefixes share nothing.
    ///
    /// It is part of the hash tags that distribute the jobs over a cluster. Braces and white space in
    /// it are left out.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        let mut prefix = prefix.into();
        prefix.retain(|character| !matches!(character, '{' | '}') && !character.is_whitespace());
        self.prefix = prefix;
        self
    }

    /// Sets whether the addresses are those of a cluster; by default the server is asked.
    pub fn cluster(mut self, cluster: bool) -> Self {
        self.cluster = Some(cluster);
        self
    }

    /// Makes the addresses those of Sentinels, which are asked for the master with this name, each
    /// time that the store connects. So it follows a failover.
    ///
    /// The user, the password, the database and the encryption in an address are those of the
    /// master. The Sentinels have the same encryption, and a [login](Self::sentinel_login) of their own.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_async_job_redis::RedisStore;
    ///
    /// let sentinels = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
    /// let urls = sentinels.map(|host| format!("redis://jobs:secret@{host}:26379"));
    /// let store = RedisStore::builder(urls).sentinel("mymaster").connect().await?;
    /// # drop(store);
    /// # Ok(()) }
    /// ```
    pub fn sentinel(mut self, master: impl Into<String>) -> Self {
        self.sentinel = Some(master.into());
        self
    }

    /// Sets the user and the password of the Sentinels; none by default. With `requirepass`, the user
    /// is `default`.
    pub fn sentinel_login(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.sentinel_login = Some((user.into(), password.into()));
        self
    }

    /// Sets the certificate of the authority, in PEM, that signs the servers' own; by default those
    /// that the system trusts.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificate = Some(pem.into());
        self
    }

    /// Sets the time that a lease lasts without renewal; 30 s by default. The jobs of a node that
    /// dies are run again, or lost, after this time.
    ///
    /// Nodes that share the store should have the same.
    pub fn lease_duration(mut self, lease: Duration) -> Self {
        self.lease = lease.max(Duration::from_millis(1));
        self
    }

    /// Sets the time after which a call fails as unavailable; 5 s by default, and at most a day.
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout.min(Duration::from_secs(86_400));
        self
    }

    /// Sets the size, in bytes, of the chunks of longer bodies; 256 KiB by default, and at most
    /// 16 MiB. The server does nothing else while it stores a chunk.
    pub fn chunk_size(mut self, bytes: usize) -> Self {
        self.chunk = bytes.clamp(1, LARGEST_RESULT);
        self
    }

    /// Allows a server that loses acknowledged jobs when it ends: one without an append-only file,
    /// or that flushes it later. Off by default.
    pub fn accept_loss(mut self, accept: bool) -> Self {
        self.accept_loss = accept;
        self
    }

    /// Sets the number of replicas that must have each change before it is acknowledged; 0 by
    /// default. If fewer have it in time, the call fails as unavailable.
    ///
    /// A failover then loses a change only if a replica without it is promoted, so set it to the
    /// number of replicas of each master to lose none.
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// Asks the server after each change whether its file is flushed, whatever its settings are.
    #[doc(hidden)]
    pub fn confirm_flushes(mut self) -> Self {
        self.flush = true;
        self
    }

    /// Sets the interval between two checks for changes that no event has announced, for tests.
    #[doc(hidden)]
    pub fn fallback(mut self, interval: Duration) -> Self {
        self.fallback = interval;
        self
    }

    /// Sets the clock, for tests.
    #[doc(hidden)]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = StoreClock::of_test(clock);
        self
    }

    /// Connects to the server or the cluster, and checks its settings.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be reached, or would lose jobs; see [`ConnectError`].
    pub async fn connect(self) -> Result<RedisStore, ConnectError> {
        let timeout = self.operation_timeout;
        let sentinel = self.sentinel.map(|master| Sentinel {
            master,
            login: self.sentinel_login,
        });
        let mut target = Target::new(&self.urls, sentinel, self.root_certificate, timeout)
            .map_err(ConnectError::address)?;
        let wish = Wish {
            is_cluster: self.cluster,
            accepts_loss: self.accept_loss,
            replicas: self.replicas,
        };
        let keys = Keys::new(&self.prefix);
        let checked = check::check(&target, &keys, &wish, timeout).await;
        let findings = checked.map_err(|error| error.at(&target))?;
        target.is_cluster = findings.is_cluster;
        let settings = Settings {
            lease: self.lease,
            operation_timeout: timeout,
            fallback: self.fallback,
            clock: self.clock,
            durability: Durability {
                flush: findings.has_to_ask || self.flush,
                replicas: self.replicas,
            },
        };
        let properties = StoreProperties::default()
            .with_lease(self.lease)
            .with_chunk(self.chunk)
            .with_shared(true)
            .with_name("redis");
        // Each connection to a cluster is one to each of its masters.
        let connections = if findings.is_cluster { 1 } else { CONNECTIONS };
        let feed = Link::new(target.clone().with_patience(BLOCK), timeout + BLOCK, 1);
        let flush = Link::new(target.clone(), timeout, 1);
        let reading = Link::new(target.clone(), timeout, 1);
        let link = Link::new(target, timeout, connections);
        let engine = Arc::new(Engine::new(link, reading, keys, settings));
        let tasks = watch::spawn(&engine, feed, flush);
        Ok(RedisStore::new(engine, properties, tasks))
    }
}

impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the addresses, which may contain passwords.
        f.debug_struct("RedisStoreBuilder")
            .field("cluster", &self.cluster)
            .field("sentinel", &self.sentinel)
            .field("prefix", &self.prefix)
            .field("lease", &self.lease)
            .field("operation_timeout", &self.operation_timeout)
            .field("chunk", &self.chunk)
            .field("accept_loss", &self.accept_loss)
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}

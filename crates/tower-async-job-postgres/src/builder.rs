use std::{fmt, time::Duration};

use tower_async_job_core::StoreProperties;

use crate::{
    database::{Address, check},
    error::ConnectError,
    schema::{Migration, migrations},
    settings::Settings,
    store::PostgresStore,
};

/// The size of a chunk, in bytes.
const CHUNK: usize = 256 << 10;

const DAY: Duration = Duration::from_secs(86_400);

impl PostgresStore {
    /// Connects to the database of this URL with the default settings, and creates the schema if it
    /// does not exist.
    ///
    /// # Errors
    ///
    /// Fails if the database cannot be used; see [`ConnectError`].
    pub async fn connect(url: impl Into<String>) -> Result<Self, ConnectError> {
        Self::builder(url).connect().await
    }

    /// Returns a builder with the default settings.
    pub fn builder(url: impl Into<String>) -> PostgresStoreBuilder {
        PostgresStoreBuilder {
            url: url.into(),
            listen_url: None,
            schema: "tower_async_job".to_owned(),
            application_name: "tower-async-job".to_owned(),
            lease: Duration::from_secs(30),
            operation_timeout: Duration::from_secs(5),
            connections: 8,
            chunk: CHUNK,
            migrates: true,
        }
    }
}

/// A builder of [`PostgresStore`]s.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use tower_async_job_postgres::PostgresStore;
///
/// let store = PostgresStore::builder("postgres://app:secret@pgbouncer:6432/app")
///     .listen_url("postgres://app:secret@postgres:5432/app")
///     .lease_duration(Duration::from_secs(10))
///     .connections(16)
///     .connect()
///     .await?;
/// # drop(store);
/// # Ok(()) }
/// ```
#[must_use]
pub struct PostgresStoreBuilder {
    url: String,
    listen_url: Option<String>,
    schema: String,
    application_name: String,
    lease: Duration,
    operation_timeout: Duration,
    connections: usize,
    chunk: usize,
    migrates: bool,
}

impl PostgresStoreBuilder {
    /// Sets the URL of the connection that listens to other nodes; by default that of all others.
    /// Set it where those go through PgBouncer, which does not pass notifications on. Without it, and
    /// where notifications arrive, statements are prepared once per connection.
    pub fn listen_url(mut self, url: impl Into<String>) -> Self {
        self.listen_url = Some(url.into());
        self
    }

    /// Sets the schema, which belongs to the store alone; `tower_async_job` by default.
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = name.into();
        self
    }

    /// Sets the name of the connections in `pg_stat_activity`, unless the URL does;
    /// `tower-async-job` by default.
    pub fn application_name(mut self, name: impl Into<String>) -> Self {
        self.application_name = name.into();
        self
    }

    /// Sets the time that a lease lasts without renewal; 30 s by default. The jobs of a node that
    /// dies are run again, or lost, after this time.
    ///
    /// All nodes should have the same.
    pub fn lease_duration(mut self, lease: Duration) -> Self {
        self.lease = lease.clamp(Duration::from_millis(1), DAY);
        self
    }

    /// Sets the time after which a call fails as unavailable; 5 s by default, and at most a day. It
    /// includes the wait for a connection, and repetitions.
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout.min(DAY);
        self
    }

    /// Sets the maximum number of connections, beside the one that listens; 8 by default.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// Sets the size, in bytes, of the chunks of longer bodies; 256 KiB by default.
    pub fn chunk_size(mut self, bytes: usize) -> Self {
        self.chunk = bytes.max(1);
        self
    }

    /// Sets whether the store creates and migrates its schema; `true` by default. Otherwise, apply
    /// the [`migrations`](Self::migrations) before nodes start.
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrates = migrate;
        self
    }

    /// Returns the SQL of all versions of the schema, in ascending order.
    pub fn migrations(&self) -> Vec<Migration> {
        migrations(&self.schema)
    }

    /// Connects to the database, checks it, and migrates the schema. Call it within a runtime of
    /// tokio, which also runs the tasks of the store.
    ///
    /// # Errors
    ///
    /// Fails if the database cannot be used; see [`ConnectError`].
    pub async fn connect(self) -> Result<PostgresStore, ConnectError> {
        if self.schema.is_empty() || self.schema.len() > 63 || self.schema.contains('\0') {
            return Err(ConnectError::url("the name of a schema has 1 to 63 bytes"));
        }
        let limit = self.operation_timeout;
        let parse = |url: &str| Address::parse(url, &self.application_name, limit);
        let address = parse(&self.url)?;
        // The same address twice is one without a pool before it.
        let listening = self.listen_url.filter(|url| *url != self.url);
        let listening = listening.as_deref().map(parse).transpose()?;
        let checked = check(&address, &self.schema, self.migrates, limit).await;
        checked.map_err(|error| error.at(&address))?;
        let properties = StoreProperties::default()
            .with_name("postgres")
            .with_lease(self.lease)
            .with_chunk(self.chunk)
            .with_shared(true);
        let settings = Settings {
            schema: self.schema,
            lease: self.lease,
            operation_timeout: limit,
            connections: self.connections,
        };
        Ok(PostgresStore::new(
            &address, listening, settings, properties,
        ))
    }
}

impl fmt::Debug for PostgresStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // URLs contain passwords.
        f.debug_struct("PostgresStoreBuilder")
            .field("schema", &self.schema)
            .field("lease", &self.lease)
            .field("operation_timeout", &self.operation_timeout)
            .field("connections", &self.connections)
            .field("chunk", &self.chunk)
            .field("migrates", &self.migrates)
            .finish_non_exhaustive()
    }
}

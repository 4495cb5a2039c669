//! Servers that the tests of a process share, and schemas of their own.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use test_services::{PgBouncer, Postgres, available};
use tokio_postgres::{Client, NoTls};
use tower_async_job_postgres::{PostgresStore, PostgresStoreBuilder};

/// The server of the system.
pub(crate) static SYSTEM: LazyLock<Option<Postgres>> = LazyLock::new(|| {
    let server = available(Postgres::start())?;
    // Each store has some connections.
    server.setting("max_connections", "500");
    server.restart();
    Some(server)
});

/// PgBouncer in transaction mode, before the server of the system.
#[allow(dead_code, reason = "not all tests need it")]
pub(crate) static BOUNCER: LazyLock<Option<PgBouncer>> =
    LazyLock::new(|| available(PgBouncer::start(SYSTEM.as_ref()?)));

/// Waits until a store hears other nodes, at which it wakes all that wait.
#[allow(dead_code, reason = "not all tests need it")]
pub(crate) async fn hears(store: &PostgresStore) {
    for _ in 0..1000 {
        if store.is_listening() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the store does not listen");
}

/// A schema that no other test uses.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The URL of stores.
    pub(crate) url: String,
    /// The URL of the server itself.
    pub(crate) direct: String,
    pub(crate) schema: String,
    /// A PgBouncer of its own, which ends with the last copy.
    pub(crate) _bouncer: Option<Arc<PgBouncer>>,
}

impl Place {
    pub(crate) fn new(url: impl Into<String>, direct: impl Into<String>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self {
            url: url.into(),
            direct: direct.into(),
            schema: format!("test_{number}"),
            _bouncer: None,
        }
    }

    /// Returns a schema in the server of the system, behind a PgBouncer of its own. One that is shared
    /// gives the connections of one test to another: ending those of one store could end a statement of
    /// another.
    #[allow(dead_code, reason = "not all tests need it")]
    pub(crate) fn behind_bouncer() -> Option<Self> {
        let server = SYSTEM.as_ref()?;
        let bouncer = available(PgBouncer::start(server))?;
        let place = Self::new(bouncer.url(), server.url());
        Some(Self {
            _bouncer: Some(Arc::new(bouncer)),
            ..place
        })
    }

    /// Returns a schema in the server of the system.
    #[allow(dead_code, reason = "not all tests need it")]
    pub(crate) fn of_system() -> Option<Self> {
        let url = SYSTEM.as_ref()?.url();
        Some(Self::new(url.clone(), url))
    }

    pub(crate) fn builder(&self) -> PostgresStoreBuilder {
        PostgresStore::builder(&self.url)
            .listen_url(&self.direct)
            .schema(&self.schema)
            .application_name(self.application())
            // Tests run many stores at once.
            .connections(4)
    }

    /// Returns the name of the connections of stores.
    pub(crate) fn application(&self) -> String {
        format!("jobs-{}", self.schema)
    }

    /// Runs commands in the schema, behind the back of stores.
    pub(crate) async fn execute(&self, sql: &str) -> Vec<tokio_postgres::SimpleQueryMessage> {
        let client = self.client().await;
        client.simple_query(sql).await.unwrap()
    }

    /// Opens a connection whose commands concern the schema.
    pub(crate) async fn client(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.direct, NoTls).await.unwrap();
        tokio::spawn(connection);
        let path = format!("SET search_path = {}", self.schema);
        client.batch_execute(&path).await.unwrap();
        client
    }
}

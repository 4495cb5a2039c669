//! The harness of the store.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use test_services::Redis;
use tower_async_job_core::{EncryptionKeys, JobId, JobStore, Sealed};
use tower_async_job_redis::{RedisStore, RedisStoreBuilder};
use tower_async_job_testkit::{Harness, Hook, NotRun, TestClock};

/// The size of the chunks of the stores.
const CHUNK: usize = 1000;

/// The number of stores, each of which has a prefix of its own.
static STORES: AtomicU32 = AtomicU32::new(0);

/// The servers of a store.
#[derive(Clone)]
pub(crate) struct Servers {
    pub(crate) urls: Vec<String>,
    /// The server, if the test may kill it.
    pub(crate) own: Option<Arc<Redis>>,
}

/// The kind of store.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Variant {
    pub(crate) is_sealed: bool,
    /// True if the server is asked whether it has flushed.
    pub(crate) asks: bool,
}

/// The harness of a store with a prefix of its own.
pub(crate) struct RedisHarness {
    servers: Servers,
    variant: Variant,
    prefix: String,
    clock: TestClock,
    store: Arc<RedisStore>,
    handles: Mutex<Vec<Arc<RedisStore>>>,
}

impl RedisHarness {
    pub(crate) async fn new(servers: Servers, variant: Variant) -> Self {
        let number = STORES.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("test-{}-{number}", std::process::id());
        let clock = TestClock::new();
        let store = connect(&servers, variant, &prefix, &clock).await;
        Self {
            servers,
            variant,
            prefix,
            clock,
            handles: Mutex::new(vec![Arc::clone(&store)]),
            store,
        }
    }

    fn wrap(&self, store: Arc<RedisStore>) -> Arc<dyn JobStore> {
        if !self.variant.is_sealed {
            return store;
        }
        let keys = EncryptionKeys::new("2026", [7; 32]).unwrap();
        Arc::new(Sealed::new(store, keys))
    }

    async fn open(&self) -> Arc<dyn JobStore> {
        let store = connect(&self.servers, self.variant, &self.prefix, &self.clock).await;
        self.handles.lock().unwrap().push(Arc::clone(&store));
        self.wrap(store)
    }

    /// Changes the row of a job behind the store's back.
    async fn tamper(&self, id: JobId, field: &str, value: &str) {
        let key = format!(
            "{{{}:{}}}:j:{}",
            self.prefix,
            id.to_bits() >> 122,
            id.encode()
        );
        if self.servers.urls.len() > 1 {
            let client = redis::cluster::ClusterClient::new(self.servers.urls.clone()).unwrap();
            replace_field(
                &mut client.get_async_connection().await.unwrap(),
                &key,
                field,
                value,
            )
            .await;
        } else {
            let client = redis::Client::open(self.servers.urls[0].as_str()).unwrap();
            let connection = client.get_multiplexed_async_connection().await;
            replace_field(&mut connection.unwrap(), &key, field, value).await;
        }
    }
}

/// Replaces the value of a field in a row.
async fn replace_field(
    connection: &mut impl redis::AsyncTypedCommands,
    key: &str,
    field: &str,
    value: &str,
) {
    let row = connection.get(key).await.unwrap().unwrap();
    let fields = row.split(' ').map(|part| match part.split_once('=') {
        Some((name, _)) if name == field => format!("{name}={value}"),
        _ => part.to_owned(),
    });
    let changed = fields.collect::<Vec<_>>().join(" ");
    assert_ne!(changed, row, "the row has the field");
    connection.set(key, changed).await.unwrap();
}

fn builder(servers: &Servers, variant: Variant, clock: &TestClock) -> RedisStoreBuilder {
    let builder = RedisStore::builder(servers.urls.clone())
        .chunk_size(CHUNK)
        .clock(clock.clone())
        .operation_timeout(Duration::from_secs(30));
    match variant.asks {
        true => builder.confirm_flushes(),
        false => builder,
    }
}

async fn connect(
    servers: &Servers,
    variant: Variant,
    prefix: &str,
    clock: &TestClock,
) -> Arc<RedisStore> {
    let builder = builder(servers, variant, clock).prefix(prefix);
    Arc::new(builder.connect().await.unwrap())
}

impl Harness for RedisHarness {
    fn store(&self) -> Arc<dyn JobStore> {
        self.wrap(Arc::clone(&self.store))
    }

    fn second(&self) -> Hook<'_, Arc<dyn JobStore>> {
        Box::pin(async { Ok(self.open().await) })
    }

    fn advance(&self, span: Duration) -> Hook<'_, ()> {
        Box::pin(async move {
            self.clock.advance(span);
            Ok(())
        })
    }

    fn jump_back(&self, span: Duration) -> Hook<'_, ()> {
        Box::pin(async move {
            self.clock.set_back(span);
            Ok(())
        })
    }

    fn crash(&self) -> Hook<'_, Arc<dyn JobStore>> {
        Box::pin(async {
            let Some(server) = &self.servers.own else {
                return Err(NotRun::because("the servers are shared by all tests"));
            };
            let server = Arc::clone(server);
            let killed = tokio::task::spawn_blocking(move || {
                server.kill();
                server.start_again();
            });
            killed.await.unwrap();
            Ok(self.open().await)
        })
    }

    fn corrupt(&self, id: JobId) -> Hook<'_, ()> {
        Box::pin(async move {
            self.tamper(id, "cr", "yesterday").await;
            Ok(())
        })
    }

    fn give_newer_format(&self, id: JobId) -> Hook<'_, ()> {
        Box::pin(async move {
            self.tamper(id, "f", "2").await;
            Ok(())
        })
    }

    fn lose_notifications(&self) -> Hook<'_, ()> {
        Box::pin(async {
            for store in &*self.handles.lock().unwrap() {
                store.lose_notifications();
            }
            Ok(())
        })
    }
}

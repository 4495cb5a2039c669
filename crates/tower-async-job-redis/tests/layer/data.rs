//! Servers that nodes share, and reach by a proxy.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Arc, LazyLock},
    time::{Duration, Instant, SystemTime},
};

use tempfile::TempDir;
use test_nodes::{Counted, Hook, Nodes, NotRun, Outage, Settings};
use test_services::{Proxy, Redis, available};
use tokio::runtime::{self, Runtime};
use tower_async_job_core::{Clock, JobId, JobStore, SweepQuery};
use tower_async_job_redis::{RedisStore, RedisStoreBuilder};

use crate::counted::CountedStore;

/// The prefix of the keys.
const PREFIX: &str = "nodes";

/// The runtime of the proxies, which no crowd of polls slows down.
static PROXIES: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
});

/// A server that nodes share.
pub(crate) struct RedisNodes {
    /// The address of the proxy.
    url: String,
    /// The file by which all nodes move their clocks.
    clock: PathBuf,
    /// The parts that belong to the process that has created the data.
    own: Option<Own>,
}

struct Own {
    server: Redis,
    proxy: Arc<Proxy>,
    _directory: TempDir,
}

/// The clock of all nodes, ahead by the milliseconds in a file, if there is one: the time of a server
/// cannot be moved.
struct Moved(PathBuf);

impl Moved {
    fn ahead(&self) -> Duration {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        Duration::from_millis(text.parse().unwrap_or_default())
    }
}

impl Clock for Moved {
    fn now(&self) -> Instant {
        Instant::now() + self.ahead()
    }

    fn system_time(&self) -> SystemTime {
        SystemTime::now() + self.ahead()
    }
}

impl RedisNodes {
    fn server(&self) -> &Redis {
        &self.own.as_ref().unwrap().server
    }

    fn builder(&self) -> RedisStoreBuilder {
        RedisStore::builder([self.url.clone()])
            .prefix(PREFIX)
            .clock(Moved(self.clock.clone()))
    }

    /// Changes the value of a field in the row of a job.
    fn tamper(&self, id: JobId, field: &str, change: impl Fn(&str) -> String) {
        let key = format!("{{{PREFIX}:{}}}:j:{}", id.to_bits() >> 122, id.encode());
        let row = self.server().command(&["GET", &key]);
        let fields = row.split(' ').map(|part| match part.split_once('=') {
            Some((name, value)) if name == field => format!("{name}={}", change(value)),
            _ => part.to_owned(),
        });
        let changed = fields.collect::<Vec<_>>().join(" ");
        assert_ne!(changed, row, "the row has the field");
        assert_eq!(self.server().command(&["SET", &key, &changed]), "OK");
    }
}

impl Nodes for RedisNodes {
    const COUNTS_ROUND_TRIPS: bool = true;
    const FINDS_BY_READS: bool = true;

    fn create() -> Hook<'static, Self> {
        Box::pin(async {
            let missing = NotRun::because("the server is missing");
            let server = available(Redis::start()).ok_or(missing)?;
            let proxy = PROXIES.spawn(Proxy::start(server.address()));
            let proxy = Arc::new(proxy.await.unwrap());
            let directory = tempfile::tempdir().unwrap();
            Ok(Self {
                url: format!("redis://{}", proxy.address()),
                clock: directory.path().join("ahead"),
                own: Some(Own {
                    server,
                    proxy,
                    _directory: directory,
                }),
            })
        })
    }

    fn address(&self) -> String {
        format!("{} {}", self.url, self.clock.display())
    }

    fn at(address: &str) -> Self {
        let (url, clock) = address.split_once(' ').unwrap();
        Self {
            url: url.to_owned(),
            clock: clock.into(),
            own: None,
        }
    }

    fn open(&self, settings: Settings) -> Hook<'_, Arc<dyn JobStore>> {
        let mut builder = self.builder().lease_duration(settings.lease);
        if let Some(timeout) = settings.operation_timeout {
            builder = builder.operation_timeout(timeout);
        }
        if let Some(bytes) = settings.chunk_size {
            builder = builder.chunk_size(bytes);
        }
        Box::pin(async move {
            if settings.max_bytes.is_some() {
                return Err(NotRun::because("the room is that of the server's memory"));
            }
            if !settings.ahead.is_zero() {
                return Err(NotRun::because("the store asks no node for the time"));
            }
            let store = builder.connect().await.unwrap();
            if settings.is_deaf {
                store.lose_notifications();
            }
            Ok(Arc::new(store) as _)
        })
    }

    fn outage(&self) -> Hook<'_, Outage> {
        Box::pin(async {
            let proxy = self.own.as_ref().unwrap().proxy.clone();
            let cut = proxy.clone();
            PROXIES.spawn(async move { cut.cut().await }).await.unwrap();
            let end = async move {
                let healed = PROXIES.spawn(async move { proxy.heal().await });
                healed.await.unwrap();
                Ok(())
            };
            Ok(Box::pin(end) as _)
        })
    }

    fn cut(&self) -> Hook<'_, ()> {
        Box::pin(async { self.outage().await?.await })
    }

    fn later(&self, span: Duration) -> Hook<'_, ()> {
        Box::pin(async move {
            fs::write(&self.clock, span.as_millis().to_string()).unwrap();
            let store = self.open(Settings::default()).await?;
            store.sweep(&SweepQuery::default()).await.unwrap();
            Ok(())
        })
    }

    fn corrupt(&self, id: JobId) -> Hook<'_, ()> {
        Box::pin(async move {
            self.tamper(id, "cr", |_| "yesterday".to_owned());
            Ok(())
        })
    }

    fn add_to_format(&self, id: JobId, number: i8) -> Hook<'_, ()> {
        Box::pin(async move {
            let add = |format: &str| (format.parse::<i8>().unwrap() + number).to_string();
            self.tamper(id, "f", add);
            Ok(())
        })
    }

    fn chunks(&self) -> Hook<'_, Vec<(u64, usize)>> {
        Box::pin(async {
            let server = self.server();
            let keys = server.command(&["KEYS", &format!("{{{PREFIX}:*}}:c:*")]);
            let counted = keys.lines().filter(|key| !key.is_empty()).map(|key| {
                let epoch = key.rsplit(':').next().unwrap().parse().unwrap();
                let count = server.command(&["HLEN", key]).parse().unwrap();
                (epoch, count)
            });
            Ok(counted.collect::<BTreeMap<_, _>>().into_iter().collect())
        })
    }

    fn counted(&self) -> Hook<'_, Box<dyn Counted>> {
        Box::pin(async { Ok(Box::new(CountedStore::open(self.builder()).await) as _) })
    }

    fn contains<'a>(&'a self, text: &'a str) -> Hook<'a, bool> {
        Box::pin(async move {
            // All commands that have changed something.
            let files = fs::read_dir(self.server().data()).unwrap();
            let found = files.flatten().any(|file| {
                let data = fs::read(file.path()).unwrap();
                data.windows(text.len()).any(|part| part == text.as_bytes())
            });
            Ok(found)
        })
    }
}

//! The stores under test.

mod cluster;
mod disk;
mod newer;
mod postgres;
mod redis;
mod sqlite;

use std::{ffi::OsString, fmt, fmt::Debug, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::bail;
use clap::{Args, ValueEnum};
use futures_util::future::BoxFuture;
use tokio::time::sleep;
use tower_async_job::store::{JobStore, StoreError, SweepQuery};

pub(crate) use self::{disk::Disk, newer::begin as begin_newer};
use crate::{
    check::{Promise, Violation},
    clock::ShiftedClock,
    process::LEASE,
    scenario::Scenario,
    server::KEPT,
};

/// The tries to sweep a store.
const TRIES: usize = 10;

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
    /// PostgreSQL behind PgBouncer in transaction mode.
    Pgbouncer,
    Redis,
    Valkey,
    RedisCluster,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Pgbouncer => "pgbouncer",
            Self::Redis => "redis",
            Self::Valkey => "valkey",
            Self::RedisCluster => "redis-cluster",
        })
    }
}

impl Kind {
    /// Returns whether the store is in servers, which may be away.
    pub(crate) fn has_servers(self) -> bool {
        self != Self::Sqlite
    }

    /// Returns whether processes reach the servers by links of their own.
    pub(crate) fn has_links(self) -> bool {
        self.has_servers() && !self.is_cluster()
    }

    /// Returns whether there is a link for notifications alone.
    pub(crate) fn has_notification_link(self) -> bool {
        matches!(self, Self::Postgres | Self::Pgbouncer)
    }

    /// Returns whether the time of the store can be shifted.
    pub(crate) fn has_shifts(self) -> bool {
        !self.is_cluster()
    }

    pub(crate) fn is_pooled(self) -> bool {
        self == Self::Pgbouncer
    }

    pub(crate) fn is_cluster(self) -> bool {
        self == Self::RedisCluster
    }
}

/// The place at which a process finds its store.
#[derive(Args, Clone, Debug)]
pub(crate) struct Place {
    #[arg(long)]
    pub(crate) store: Kind,
    /// The path or URL.
    #[arg(long)]
    pub(crate) at: OsString,
    /// The URL for notifications, if it is another one.
    #[arg(long)]
    pub(crate) listen_at: Option<OsString>,
    /// The maximum size of a file.
    #[arg(long)]
    pub(crate) max_bytes: Option<u64>,
}

impl Place {
    /// Returns the arguments of a process at this place.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut arguments = vec!["--store".into(), self.store.to_string().into()];
        arguments.extend(["--at".into(), self.at.clone()]);
        if let Some(at) = &self.listen_at {
            arguments.extend(["--listen-at".into(), at.clone()]);
        }
        if let Some(bytes) = self.max_bytes {
            arguments.extend(["--max-bytes".into(), bytes.to_string().into()]);
        }
        arguments
    }

    /// Opens the store.
    pub(crate) async fn open(&self, how: Opening) -> anyhow::Result<Arc<dyn JobStore>> {
        let is_newer = how.is_newer;
        let store = match self.store {
            Kind::Sqlite => sqlite::open(self, how).await?,
            Kind::Postgres | Kind::Pgbouncer => postgres::open(self, &how).await?,
            Kind::Redis | Kind::Valkey => redis::open(self, &how).await?,
            Kind::RedisCluster => cluster::open(self, &how).await?,
        };
        Ok(match is_newer {
            true => newer::wrap(store),
            false => store,
        })
    }
}

/// The way in which a process opens its store.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) lease: Duration,
    pub(crate) clock: ShiftedClock,
    /// The process is of the next version, which has formats and a schema of its own.
    pub(crate) is_newer: bool,
}

/// The store of a round: its file, or its servers. The methods block.
pub(crate) trait Backend: Debug + Send + Sync {
    fn kind(&self) -> Kind;

    /// Returns the addresses of the servers to which each process has a link of its own.
    fn servers(&self) -> Vec<SocketAddr> {
        Vec::new()
    }

    /// Returns the place of the store for a process with these links, one for each server.
    fn place(&self, links: &[SocketAddr]) -> Place;

    /// Returns whether a small store has little room left: less than the longest answer takes.
    fn is_nearly_full(&self) -> anyhow::Result<bool> {
        bail!("the store cannot be filled");
    }

    /// Makes room in a small store. Returns whether processes must start again to use it.
    fn enlarge(&self) -> anyhow::Result<bool> {
        bail!("the store cannot be filled");
    }

    /// Takes a backup.
    fn back_up(&self) -> anyhow::Result<()> {
        bail!("there is no backup");
    }

    /// Puts the backup in the place of the store, which is down.
    fn restore(&self) -> anyhow::Result<()> {
        bail!("there is no backup");
    }

    /// Begins a fault of the servers.
    fn begin(&self, fault: Scenario) -> anyhow::Result<()> {
        bail!("there is no server for {fault:?}");
    }

    /// Ends a fault of the servers.
    fn end(&self, fault: Scenario) -> anyhow::Result<()> {
        bail!("there is no server for {fault:?}");
    }

    /// Brings the schema to the next version, which this one still uses, if the store has one.
    fn migrate(&self) -> anyhow::Result<()> {
        Ok(())
    }

    /// Shifts the time of the store by some seconds from that of the day.
    fn shift(&self, seconds: i64) -> anyhow::Result<()> {
        bail!("the time of the servers cannot be shifted by {seconds} s");
    }

    /// Checks that the store is sound. Returns a description of damage.
    fn damage(&self) -> anyhow::Result<Option<String>> {
        Ok(None)
    }

    /// Opens the store for a sweep at that much later a time.
    fn open_later(&self, later: Duration) -> BoxFuture<'_, anyhow::Result<Arc<dyn JobStore>>>;

    /// Returns what is left in the store, as a description.
    fn remains(&self) -> anyhow::Result<Option<String>>;

    /// Copies to a directory what is of use when a promise was broken.
    fn keep(&self, directory: &Path) -> anyhow::Result<()>;
}

/// Creates the store of a round, with a directory for files. A small one can be filled.
pub(crate) async fn start(
    kind: Kind,
    directory: &Path,
    is_small: bool,
) -> anyhow::Result<Arc<dyn Backend>> {
    let directory = directory.to_owned();
    blocking(move || {
        let store: Arc<dyn Backend> = match kind {
            Kind::Sqlite => Arc::new(sqlite::File::new(&directory, is_small)?),
            Kind::RedisCluster => Arc::new(cluster::Cluster::new()?),
            Kind::Postgres | Kind::Pgbouncer => {
                Arc::new(postgres::Server::new(kind, &directory, is_small)?)
            }
            Kind::Redis | Kind::Valkey => Arc::new(redis::Server::new(kind, &directory, is_small)?),
        };
        Ok(store)
    })
    .await
}

/// Does what blocks.
pub(crate) async fn blocking<T: Send + 'static>(
    what: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(what).await?
}

/// Checks that the store is sound, and that nothing is left in it after the retention.
pub(crate) async fn check(backend: &Arc<dyn Backend>) -> anyhow::Result<Vec<Violation>> {
    let broken = |text| vec![Violation::new(Promise::CleanStore, text)];
    let now = backend.clone();
    if let Some(damage) = blocking(move || now.damage()).await? {
        return Ok(broken(damage));
    }
    // A job passes its deadline, then its retention, its tombstone, and the time of its chunks.
    for step in 1..=6 {
        sweep(backend, KEPT * 2 * step).await?;
    }
    let now = backend.clone();
    let remains = blocking(move || now.remains()).await?;
    Ok(remains.map(broken).unwrap_or_default())
}

/// Sweeps a store at that much later a time until nothing is due, on a machine that may be busy.
async fn sweep(backend: &Arc<dyn Backend>, later: Duration) -> anyhow::Result<()> {
    for _ in 0..TRIES {
        match sweep_once(backend, later).await {
            Err(error) if is_unavailable(&error) => sleep(Duration::from_secs(1)).await,
            swept => return swept,
        }
    }
    sweep_once(backend, later).await
}

fn is_unavailable(error: &anyhow::Error) -> bool {
    let error: Option<&StoreError> = error.downcast_ref();
    error.is_some_and(StoreError::is_unavailable)
}

async fn sweep_once(backend: &Arc<dyn Backend>, later: Duration) -> anyhow::Result<()> {
    let store = backend.open_later(later).await?;
    for _ in 0..10_000 {
        let upkeep = store.sweep(&SweepQuery::default()).await?;
        if upkeep.next != Some(Duration::ZERO) {
            return Ok(());
        }
    }
    bail!("the sweep does not end")
}

/// Returns how the harness opens a store, that much later.
fn opening(later: Duration) -> anyhow::Result<Opening> {
    Ok(Opening {
        lease: LEASE,
        clock: ShiftedClock::ahead(later.as_secs().try_into()?),
        is_newer: true,
    })
}

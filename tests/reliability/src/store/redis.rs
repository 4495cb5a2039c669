//! A Redis or Valkey server.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use futures_util::future::BoxFuture;
use test_services::Redis;
use tower_async_job::store::JobStore;
use tower_async_job_redis::RedisStore;

use super::{
    Backend, Kind, Opening, Place,
    disk::{NEARLY, SIZE},
    opening,
};
use crate::scenario::Scenario;

/// The server of a round.
#[derive(Debug)]
pub(super) struct Server {
    kind: Kind,
    redis: Redis,
    backup: PathBuf,
}

impl Server {
    pub(super) fn new(kind: Kind, directory: &Path, is_small: bool) -> anyhow::Result<Self> {
        let builder = Redis::builder().shiftable();
        let redis = match kind {
            Kind::Valkey => builder.valkey().start()?,
            _ => builder.start()?,
        };
        let server = Self {
            kind,
            redis,
            backup: directory.join("backup"),
        };
        if is_small {
            let most = server.info("used_memory")? + SIZE;
            server.set_most(most);
        }
        Ok(server)
    }

    /// Returns a figure of the server.
    fn info(&self, name: &str) -> anyhow::Result<u64> {
        let info = self.redis.command(&["INFO", "memory"]);
        let figure = info.lines().find_map(|line| line.strip_prefix(name));
        let figure = figure.and_then(|figure| figure.strip_prefix(':'));
        Ok(figure.context("a figure")?.trim().parse()?)
    }

    /// Sets the memory that the server may use; 0 is all.
    fn set_most(&self, bytes: u64) {
        let bytes = bytes.to_string();
        self.redis.command(&["CONFIG", "SET", "maxmemory", &bytes]);
    }
}

impl Backend for Server {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn servers(&self) -> Vec<SocketAddr> {
        vec![self.redis.address()]
    }

    fn place(&self, links: &[SocketAddr]) -> Place {
        let address = links.first().copied().unwrap_or(self.redis.address());
        Place {
            store: self.kind,
            at: format!("redis://{address}").into(),
            listen_at: None,
            max_bytes: None,
        }
    }

    fn is_nearly_full(&self) -> anyhow::Result<bool> {
        Ok(self.info("used_memory")? + NEARLY > self.info("maxmemory")?)
    }

    fn enlarge(&self) -> anyhow::Result<bool> {
        self.set_most(0);
        Ok(false)
    }

    /// Copies the append-only files, as one may while the server writes them.
    fn back_up(&self) -> anyhow::Result<()> {
        copy(&self.redis.data(), &self.backup)
    }

    fn restore(&self) -> anyhow::Result<()> {
        fs::remove_dir_all(self.redis.data())?;
        copy(&self.backup, &self.redis.data())
    }

    fn begin(&self, fault: Scenario) -> anyhow::Result<()> {
        match fault {
            Scenario::Crash | Scenario::Restore => self.redis.kill(),
            Scenario::Restart => self.redis.stop(),
            _ => bail!("not on this store: {fault}"),
        }
        Ok(())
    }

    fn end(&self, _: Scenario) -> anyhow::Result<()> {
        self.redis.start_again();
        Ok(())
    }

    fn shift(&self, seconds: i64) -> anyhow::Result<()> {
        self.redis.shift(seconds);
        Ok(())
    }

    fn open_later(&self, later: Duration) -> BoxFuture<'_, anyhow::Result<Arc<dyn JobStore>>> {
        Box::pin(async move {
            let opening = opening(later)?;
            let store = builder(&self.place(&[]), &opening)?.clock(opening.clock.clone());
            Ok(Arc::new(store.connect().await?) as _)
        })
    }

    fn remains(&self) -> anyhow::Result<Option<String>> {
        Ok(remains(&self.redis.command(&["KEYS", "*"])))
    }

    fn keep(&self, directory: &Path) -> anyhow::Result<()> {
        copy(&self.redis.data(), &directory.join("appendonlydir"))
    }
}

/// Returns the keys that are left of jobs, among all.
pub(super) fn remains(keys: &str) -> Option<String> {
    let is_of_jobs = |key: &&str| {
        let tail = key.rsplit('}').next().unwrap_or_default();
        !key.is_empty() && !matches!(tail, "" | ":mark" | ":counts")
    };
    let left: Vec<_> = keys.lines().filter(is_of_jobs).collect();
    (!left.is_empty()).then(|| {
        format!(
            "{} keys are left: {:?}",
            left.len(),
            &left[..left.len().min(9)]
        )
    })
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("cp");
    let copied = command.arg("-a").arg(from).arg(to).status()?;
    ensure!(copied.success(), "{} cannot be copied", from.display());
    Ok(())
}

pub(super) fn builder(
    place: &Place,
    how: &Opening,
) -> anyhow::Result<tower_async_job_redis::RedisStoreBuilder> {
    let url = place.at.to_str().context("a URL")?;
    Ok(RedisStore::builder(url.split(',')).lease_duration(how.lease))
}

pub(super) async fn open(place: &Place, how: &Opening) -> anyhow::Result<Arc<dyn JobStore>> {
    Ok(Arc::new(builder(place, how)?.connect().await?))
}

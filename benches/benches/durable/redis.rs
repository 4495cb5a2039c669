//! The store in Redis, and its peer.

mod raw;

use std::sync::Arc;

use test_services::Redis;
use tower_async_job::store::JobStore;
use tower_async_job_redis::RedisStore;

use crate::{
    Outcome,
    place::{Peer, Pending, Place},
};

/// A server, whose file is in memory.
pub(crate) struct Database {
    server: Redis,
    /// The memory of the empty server.
    empty: u64,
}

impl Database {
    pub(crate) fn start() -> Outcome<Self> {
        let server = Redis::start().map_err(|missing| missing.to_string())?;
        Ok(Self { server, empty: 0 })
    }

    fn memory(&self) -> Outcome<u64> {
        let info = self.server.command(&["INFO", "memory"]);
        let used = info
            .lines()
            .find_map(|line| line.strip_prefix("used_memory_dataset:"));
        Ok(used.ok_or("no used_memory_dataset")?.trim().parse()?)
    }
}

impl Place for Database {
    fn empty(&mut self) -> Outcome<()> {
        self.server.command(&["FLUSHALL", "SYNC"]);
        self.empty = self.memory()?;
        Ok(())
    }

    fn store(&self) -> Pending<'_, Outcome<Arc<dyn JobStore>>> {
        Box::pin(async { Ok(Arc::new(RedisStore::connect(&self.server.url()).await?) as _) })
    }

    fn peer(&self) -> Pending<'_, Outcome<Arc<dyn Peer>>> {
        Box::pin(async { Ok(Arc::new(raw::Raw::connect(&self.server.url()).await?) as _) })
    }

    fn bytes(&self) -> Outcome<u64> {
        Ok(self.memory()?.saturating_sub(self.empty))
    }

    fn goal(&self) -> f64 {
        0.8
    }
}

//! A cluster of Redis servers.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, bail};
use futures_util::future::BoxFuture;
use test_services::RedisCluster;
use tower_async_job::store::JobStore;

use super::{Backend, Kind, Opening, Place, opening, redis};
use crate::scenario::Scenario;

/// The masters of the cluster, each of which has a replica.
const MASTERS: usize = 3;

/// The number of slots of a cluster.
const SLOTS: usize = 16_384;

/// The parts of the store, each in a slot of its own.
const PARTS: usize = 64;

/// The cluster of a round.
#[derive(Debug)]
pub(super) struct Cluster {
    cluster: RedisCluster,
    /// The slots that were moved, and their masters.
    moved: Mutex<HashMap<u16, usize>>,
}

impl Cluster {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            cluster: RedisCluster::start()?,
            moved: Mutex::default(),
        })
    }

    /// Moves the slot of a part of the store to another master.
    fn move_slot(&self) -> anyhow::Result<()> {
        let key = format!("{{jobs:{}}}", fastrand::usize(0..PARTS));
        let master = self.cluster.master(0);
        let slot: u16 = master
            .command(&["CLUSTER", "KEYSLOT", &key])
            .trim()
            .parse()?;
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        let from = moved.get(&slot).copied();
        let from = from.unwrap_or((usize::from(slot) * MASTERS + MASTERS - 1) / SLOTS);
        let to = (from + fastrand::usize(1..MASTERS)) % MASTERS;
        self.cluster.migrate_slot(slot, to);
        moved.insert(slot, to);
        Ok(())
    }
}

impl Backend for Cluster {
    fn kind(&self) -> Kind {
        Kind::RedisCluster
    }

    fn place(&self, _: &[std::net::SocketAddr]) -> Place {
        Place {
            store: self.kind(),
            at: self.cluster.urls().join(",").into(),
            listen_at: None,
            max_bytes: None,
        }
    }

    fn begin(&self, fault: Scenario) -> anyhow::Result<()> {
        let shard = fastrand::usize(0..MASTERS);
        match fault {
            Scenario::MasterKilled => self.cluster.kill_master(shard),
            Scenario::Failover => self.cluster.failover(shard),
            Scenario::SlotMoved => self.move_slot()?,
            _ => bail!("not on this store: {fault}"),
        }
        Ok(())
    }

    fn end(&self, fault: Scenario) -> anyhow::Result<()> {
        if fault == Scenario::MasterKilled {
            self.cluster.revive();
        }
        Ok(())
    }

    fn open_later(&self, later: Duration) -> BoxFuture<'_, anyhow::Result<Arc<dyn JobStore>>> {
        Box::pin(async move {
            let opening = opening(later)?;
            let store = redis::builder(&self.place(&[]), &opening)?.clock(opening.clock.clone());
            Ok(Arc::new(store.connect().await?) as _)
        })
    }

    fn remains(&self) -> anyhow::Result<Option<String>> {
        let masters = (0..MASTERS).map(|shard| self.cluster.master(shard).command(&["KEYS", "*"]));
        Ok(redis::remains(&masters.collect::<Vec<_>>().join("\n")))
    }

    fn keep(&self, _: &Path) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Opens the store, each change of which a replica has before it is acknowledged.
pub(super) async fn open(place: &Place, how: &Opening) -> anyhow::Result<Arc<dyn JobStore>> {
    let store = redis::builder(place, how)?.cluster(true).replicas(1);
    let store = store.connect().await.context("the cluster")?;
    Ok(Arc::new(store))
}

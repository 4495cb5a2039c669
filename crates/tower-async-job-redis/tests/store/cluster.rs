//! A cluster of three masters and three replicas, whose masters die and whose slots move.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::{join, join_all};
use http_polling::{JobState, Problem, ProblemType};
use test_services::{RedisCluster, available};
use tower_async_job_core::{Detail, JobId, JobStore, Lease, Outcome, StoreError};
use tower_async_job_redis::RedisStore;

use crate::{is_known, replayable};

const PREFIX: &str = "load";

async fn connect(cluster: &RedisCluster) -> RedisStore {
    let builder = RedisStore::builder(cluster.urls())
        .prefix(PREFIX)
        .replicas(1);
    builder.connect().await.unwrap()
}

/// Repeats a call until the cluster works, for at most as long as a lease.
async fn persist<T>(mut call: impl AsyncFnMut() -> Result<T, StoreError>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match call().await {
            Ok(value) => return value,
            Err(error) => {
                assert!(error.is_unavailable(), "{error:?}");
                assert!(Instant::now() < deadline, "{error:?}");
            }
        }
    }
}

/// Creates and ends jobs until told to stop; returns their ids.
async fn load(store: Arc<RedisStore>, stop: Arc<AtomicBool>) -> Vec<JobId> {
    let mut ids = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let new = replayable(&store);
        let lease: Lease = new.first_lease();
        persist(async || store.create(new.clone()).await).await;
        let failed = || Outcome::Failed(Problem::new(ProblemType::JobFailed));
        persist(async || store.finish(&lease, failed().into()).await).await;
        ids.push(lease.id);
    }
    ids
}

/// Changes a cluster under load, and checks that nothing is lost.
async fn survives(change: impl FnOnce(&RedisCluster) + Send + 'static) {
    let Some(cluster) = available(RedisCluster::start()) else {
        return;
    };
    let store = Arc::new(connect(&cluster).await);
    let stop = Arc::new(AtomicBool::new(false));
    let loads = join_all((0..8).map(|_| load(Arc::clone(&store), Arc::clone(&stop))));
    let changed = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(300));
        change(&cluster);
        std::thread::sleep(Duration::from_millis(300));
        cluster
    });
    let changed = async {
        let cluster = changed.await.unwrap();
        stop.store(true, Ordering::Relaxed);
        cluster
    };
    let (loads, _cluster) = join(loads, changed).await;
    let mut all = 0;
    for ids in loads {
        for id in ids {
            let read = persist(async || store.read(&id, Detail::Status).await).await;
            assert_eq!(read.map(|job| job.state), Some(JobState::Failed));
            all += 1;
        }
    }
    assert!(all > 50, "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s23_a_failover_under_load_loses_nothing() {
    survives(|cluster| cluster.failover(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s23_a_killed_master_under_load_loses_nothing_that_its_replica_had() {
    survives(|cluster| {
        cluster.kill_master(1);
        cluster.await_health();
        // Until then, no replica has the changes of the new master.
        cluster.revive();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s23_slots_that_move_under_load_lose_nothing() {
    survives(|cluster| {
        for shard in 0..8 {
            let key = format!("{{{PREFIX}:{shard}}}");
            let slot = cluster.master(0).command(&["CLUSTER", "KEYSLOT", &key]);
            let slot: u16 = slot.trim().parse().unwrap();
            // Each master has a third of the slots.
            let owner = usize::from(slot / 5461).min(2);
            cluster.migrate_slot(slot, (owner + 1) % 3);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_too_few_replicas_have_is_not_acknowledged() {
    let Some(cluster) = available(RedisCluster::start()) else {
        return;
    };
    let store = RedisStore::builder(cluster.urls())
        .replicas(2)
        .operation_timeout(Duration::from_secs(1));
    let store = store.connect().await.unwrap();
    let new = replayable(&store);
    let id = new.id;
    let refused = store.create(new).await.unwrap_err();
    assert!(refused.is_unavailable());
    assert!(is_known(&store, &id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_master_of_a_cluster_is_checked() {
    let Some(cluster) = available(RedisCluster::start()) else {
        return;
    };
    for (setting, value) in [
        ("maxmemory-policy", "allkeys-lru"),
        ("appendfsync", "everysec"),
    ] {
        let before = if setting == "appendfsync" {
            "always"
        } else {
            "noeviction"
        };
        for place in 0..3 {
            let master = cluster.master(place);
            master.command(&["CONFIG", "SET", setting, value]);
            let refused = RedisStore::builder(cluster.urls()).connect().await;
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains(value), "{refused}");
            master.command(&["CONFIG", "SET", setting, before]);
        }
    }
    connect(&cluster).await;
}

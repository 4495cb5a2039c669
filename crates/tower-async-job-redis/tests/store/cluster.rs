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
use tower_async_job_core::{Detail, JobId, JobStore, Lease, NewJob, Outcome, Renewal, StoreError};
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

/// A lease that ends soon.
const LEASE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn s23_each_job_that_a_failover_loses_is_seen_as_lost_or_stored_again() {
    let Some(cluster) = available(RedisCluster::start()) else {
        return;
    };
    let builder = RedisStore::builder(cluster.urls()).lease_duration(LEASE);
    let store = builder.connect().await.unwrap();
    // The replica misses these jobs, and becomes the master nevertheless.
    let replica = cluster.replica(0);
    replica.kill();
    let mut jobs = Vec::new();
    for _ in 0..128 {
        jobs.push(replayable(&store));
        store.create(jobs[jobs.len() - 1].clone()).await.unwrap();
    }
    cluster.kill_master(0);
    replica.start_again();
    replica.command(&["CLUSTER", "FAILOVER", "TAKEOVER"]);
    let read = async |new: &NewJob| {
        let read = persist(async || store.read(&new.id, Detail::Full).await).await;
        read.expect("a job that was accepted is known")
    };
    let leases: Vec<_> = jobs.iter().map(NewJob::first_lease).collect();
    let fates = persist(async || store.renew(&leases).await).await;
    let lost: Vec<_> = (0..jobs.len())
        .filter(|place| fates[*place] == Renewal::Missing)
        .collect();
    let is_third = (20..70).contains(&lost.len());
    assert!(is_third, "{} of {} are lost", lost.len(), jobs.len());
    // Of every second job, the run is alive, and stores it again.
    let mut dead = Vec::new();
    for (number, place) in lost.into_iter().enumerate() {
        let seen = read(&jobs[place]).await;
        assert_eq!(seen.state, JobState::Running);
        if number % 2 == 0 {
            dead.push(place);
            continue;
        }
        let again = jobs[place].clone().with_epoch(2);
        let again = again.with_version(seen.version);
        persist(async || store.create(again.clone()).await).await;
    }
    tokio::time::sleep(LEASE + LEASE / 2).await;
    for (place, new) in jobs.iter().enumerate() {
        let state = match dead.contains(&place) {
            true => JobState::Lost,
            false => JobState::Running,
        };
        assert_eq!(read(new).await.state, state, "{place}");
    }
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
    let numbered = cluster.urls().into_iter().map(|url| format!("{url}/5"));
    let refused = RedisStore::builder(numbered).connect().await.unwrap_err();
    assert!(refused.is_invalid_address(), "{refused}");
    assert!(refused.to_string().contains("database"), "{refused}");
}

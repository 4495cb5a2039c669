//! Servers whose time of day is set.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use http_polling::JobState;
use test_services::{Redis, available};
use tokio::time::{sleep, timeout};
use tower_async_job_core::{
    ClaimQuery, Detail, JobStore, Outcome, Release, Renewal, StoredResponse, SweepQuery,
};
use tower_async_job_redis::RedisStore;

use crate::{add, builder, replayable};

const HOUR: Duration = Duration::from_secs(3600);

async fn open(server: &Redis) -> RedisStore {
    // Changes of other nodes are found by events alone.
    let builder = builder(server).fallback(HOUR);
    builder.connect().await.unwrap()
}

async fn sweep(store: &RedisStore) {
    store.sweep(&SweepQuery::default()).await.unwrap();
}

/// Asserts that the end of a job wakes the other node.
async fn assert_wakes(store: &RedisStore, other: &RedisStore) {
    let lease = add(other, replayable(other)).await;
    let ended = store.subscribe(&lease.id);
    other.cancel(&lease.id).await.unwrap();
    let waited = timeout(Duration::from_secs(20), ended).await;
    waited.expect("the event wakes");
}

#[tokio::test(flavor = "multi_thread")]
async fn s15_a_server_whose_time_is_set_delays_no_run_and_no_wake_and_ends_no_lease() {
    let Some(server) = available(Redis::builder().shiftable().start()) else {
        return;
    };
    let (store, other) = (open(&server).await, open(&server).await);
    assert_wakes(&store, &other).await;
    let job = || replayable(&store).with_deadline(10 * HOUR);
    let held = add(&store, job()).await;
    for seconds in [3600, 0, -3600] {
        let waiting = add(&store, job()).await;
        let how = Release::default().with_after(Duration::from_millis(200));
        store.release(&[waiting], how).await.unwrap();
        // Each node renews its leases before any sweeps.
        server.shift(seconds);
        assert_eq!(store.renew(&[held]).await.unwrap(), [Renewal::Held]);
        sweep(&other).await;
        assert_wakes(&store, &other).await;
        sleep(Duration::from_millis(250)).await;
        sweep(&other).await;
        let claims = other.claim(&ClaimQuery::new(9)).await.unwrap();
        let claimed: Vec<_> = claims.jobs.iter().map(|claim| claim.lease.id).collect();
        assert_eq!(claimed, [waiting.id], "ahead by {seconds} s");
        other.cancel(&waiting.id).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s14_nodes_whose_day_is_an_hour_off_go_by_the_time_of_the_server() {
    for seconds in [3600, -3600] {
        let Some(server) = available(Redis::builder().shiftable().start()) else {
            return;
        };
        // An hour ahead for the server is an hour behind for the nodes.
        server.shift(seconds);
        let (store, other) = (open(&server).await, open(&server).await);
        let lease = add(&store, replayable(&store)).await;
        for store in [&store, &other] {
            sweep(store).await;
            let claims = store.claim(&ClaimQuery::new(9)).await.unwrap();
            assert!(claims.jobs.is_empty(), "{claims:?}");
        }
        assert_eq!(store.renew(&[lease]).await.unwrap(), [Renewal::Held]);
        let head = StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), 0).finish(None);
        let done = Outcome::Done(head);
        store.finish(&lease, done.into()).await.unwrap();
        let record = other.read(&lease.id, Detail::Full).await.unwrap().unwrap();
        assert_eq!(record.state, JobState::Done);
        assert!(record.age < HOUR / 2, "{:?}", record.age);
        let day = match seconds > 0 {
            true => SystemTime::now() + HOUR,
            false => SystemTime::now() - HOUR,
        };
        let off = record.created.duration_since(day);
        let off = off.unwrap_or_else(|error| error.duration());
        assert!(off < HOUR / 2, "{off:?}");
    }
}

//! Leases without a duration, times of day, and the remains of jobs.

use std::time::{Duration, Instant};

use http_polling::JobState;
use tower_async_job_core::{
    Cancellation, Created, JobStore, MemoryStore, Renewal, Retention, SweepQuery,
};

use crate::common::*;

#[tokio::test]
async fn without_a_lease_duration_a_job_runs_for_ever() {
    let (store, clock) = store_with(|builder| builder);
    let lease = create(&store, job()).await;
    clock.advance(HOUR * 24 * 365);
    store.sweep(&SweepQuery::default()).await.unwrap();
    assert_eq!(store.properties().lease, None);
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Running));
    store.finish(&lease, done(b"")).await.unwrap();
}

#[tokio::test]
async fn tombstones_are_limited_and_the_oldest_forgotten_first() {
    let (store, clock) = store_with(|builder| builder.max_tombstones(2).shards(1));
    let mut ids = Vec::new();
    for _ in 0..4 {
        let lease = create(&store, job()).await;
        store.finish(&lease, done(b"")).await.unwrap();
        ids.push(lease.id);
        clock.advance(Duration::from_secs(1));
    }
    clock.advance(HOUR);
    store.sweep(&SweepQuery::default()).await.unwrap();
    let mut states = Vec::new();
    for id in &ids {
        states.push(state(&store, id).await);
    }
    assert_eq!(
        states,
        [None, None, Some(JobState::Expired), Some(JobState::Expired)]
    );
}

#[tokio::test]
async fn s79_a_surplus_tombstone_of_a_run_that_may_live_leaves_a_void() {
    let (store, clock) = store_with(|builder| builder.lease_duration(LEASE).max_tombstones(0));
    let brief = Duration::from_secs(1);
    let job = job().with_retention(Retention::new(brief, HOUR));
    let lease = create(&store, job.clone()).await;
    store.finish(&lease, done(b"")).await.unwrap();
    clock.advance(brief);
    store.sweep(&SweepQuery::default()).await.unwrap();
    assert_eq!(store.renew(&[lease]).await.unwrap(), [Renewal::Lost]);
    assert!(store.create(job).await.unwrap_err().is_conflict());
    clock.advance(LEASE);
    assert_eq!(
        store.sweep(&SweepQuery::default()).await.unwrap().next,
        None,
        "nothing is left"
    );
}

#[tokio::test]
async fn s79_voids_last_a_minute_where_leases_have_no_end() {
    let start = Instant::now();
    let store = MemoryStore::builder().clock(move || start).build();
    let job = job();
    store.discard(&job.first_lease()).await.unwrap();
    assert!(store.create(job).await.unwrap_err().is_conflict());
    let next = store.sweep(&SweepQuery::default()).await.unwrap().next;
    assert_eq!(next, Some(Duration::from_secs(60)));
}

#[tokio::test]
async fn a_voided_id_is_free_again_after_a_lease() {
    let (store, clock) = store();
    let job = job();
    store.discard(&job.first_lease()).await.unwrap();
    assert!(store.create(job.clone()).await.unwrap_err().is_conflict());
    clock.advance(LEASE);
    create(&store, job).await;
}

#[tokio::test]
async fn times_of_day_are_as_far_apart_as_the_store_reckons() {
    let (store, clock) = store();
    let job = job();
    let id = job.id;
    let Created::New { created, .. } = store.create(job).await.unwrap() else {
        panic!("not made");
    };
    clock.advance(Duration::from_secs(5));
    let Cancellation::Cancelled { ended } = store.cancel(&id).await.unwrap() else {
        panic!("not cancelled");
    };
    assert_eq!(ended, created + Duration::from_secs(5));
}

#[tokio::test]
async fn a_sweep_says_when_to_come_again_to_the_moment() {
    let (store, clock) = store();
    let comes_again = async || store.sweep(&SweepQuery::default()).await.unwrap().next;
    assert_eq!(comes_again().await, None);
    let (result, tombstone) = (LEASE, Duration::from_secs(8));
    let retention = Retention::new(result, tombstone);
    let lease = create(&store, job().with_retention(retention)).await;
    assert_eq!(comes_again().await, Some(LEASE));
    store.finish(&lease, done(b"")).await.unwrap();
    assert_eq!(comes_again().await, Some(result));
    clock.advance(result);
    assert_eq!(comes_again().await, Some(tombstone));
    clock.advance(tombstone);
    assert_eq!(comes_again().await, None);
}

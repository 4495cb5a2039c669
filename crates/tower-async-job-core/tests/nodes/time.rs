//! A clock that is set back, which only a test of its own can do.

use std::time::{Duration, Instant};

use http_polling::JobState;
use tower_async_job_core::{JobStore, MemoryStore};

use crate::common::*;

#[tokio::test]
async fn s15_clock_set_back_prolongs_a_lease_by_one_at_most() {
    let (store, pass) = memory();
    pass.by(HOUR);
    let lease = create(&store, job()).await;
    store.sweep().await.unwrap();
    pass.back(HOUR / 2);
    store.sweep().await.unwrap();
    pass.by(LEASE - MOMENT);
    store.sweep().await.unwrap();
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Running));
    pass.by(MOMENT);
    store.sweep().await.unwrap();
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Lost));
}

#[tokio::test]
async fn s15_clock_set_forward_ends_leases_but_no_epoch_twice() {
    let (store, pass) = memory();
    let lease = create(&store, replayable()).await;
    pass.by(HOUR / 2);
    let claim = claim(&store).await.unwrap();
    assert!(claim.lease.epoch > lease.epoch);
    assert!(
        store
            .finish(&lease, done(b""))
            .await
            .unwrap_err()
            .is_lease_lost()
    );
    store.finish(&claim.lease, done(b"")).await.unwrap();
}

#[tokio::test]
async fn s36_voids_last_a_minute_where_leases_have_no_end() {
    let start = Instant::now();
    let store = MemoryStore::builder().clock(move || start).build();
    let job = job();
    store.discard(&job.first_lease()).await.unwrap();
    assert!(store.create(job).await.unwrap_err().is_conflict());
    let next = store.sweep().await.unwrap().next;
    assert_eq!(next, Some(Duration::from_secs(60)));
}

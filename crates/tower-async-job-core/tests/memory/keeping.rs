//! Leases that last as long as the process, and the number of tombstones.

use std::time::Duration;

use http_polling::JobState;
use tower_async_job_core::JobStore;

use crate::common::*;

#[tokio::test]
async fn without_a_lease_duration_a_job_runs_for_ever() {
    let (store, clock) = store_with(|builder| builder);
    let lease = create(&store, job()).await;
    clock.advance(HOUR * 24 * 365);
    store.sweep().await.unwrap();
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
    store.sweep().await.unwrap();
    let mut states = Vec::new();
    for id in &ids {
        states.push(state(&store, id).await);
    }
    assert_eq!(
        states,
        [None, None, Some(JobState::Expired), Some(JobState::Expired)]
    );
}

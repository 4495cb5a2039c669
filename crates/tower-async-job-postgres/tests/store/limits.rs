//! Queue limits at which creates race.

use std::sync::Arc;

use tokio::task::JoinSet;
use tower_async_job_core::{JobStore, NewJob, QueueLimit, ReplayedRequest, Start, StoredRequest};
use tower_async_job_postgres::PostgresStore;

use crate::support::Place;

const LIMIT: usize = 10;

/// Offers a job, unless too many wait.
async fn offer(store: &PostgresStore) -> bool {
    let request = StoredRequest::encode(&ReplayedRequest::default());
    let job = NewJob::new(store.new_id(None, None))
        .with_request(request)
        .with_start(Start::Offered)
        .with_queue_limit(QueueLimit::new(LIMIT, usize::MAX));
    match store.create(job).await {
        Ok(_) => true,
        Err(error) => {
            assert!(error.is_queue_full(), "{error}");
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s38_creates_that_race_exceed_the_limit_at_most_by_those_of_other_nodes() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let mut creates = JoinSet::new();
    for _ in 0..2 {
        let store = Arc::new(place.builder().connect().await.unwrap());
        for _ in 0..50 {
            let store = Arc::clone(&store);
            creates.spawn(async move { offer(&store).await });
        }
    }
    let made = creates.join_all().await;
    let made = made.into_iter().filter(|made| *made).count();
    assert!((LIMIT..=2 * LIMIT).contains(&made), "{made}");
    let store = place.builder().connect().await.unwrap();
    assert!(!offer(&store).await);
}

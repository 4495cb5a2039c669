//! Queue limits at which creates race.

use std::{
    future::poll_fn,
    task::Poll::Ready,
    time::{Duration, Instant},
};

use tower_async_job_core::{
    Created, IdempotencyKey, JobStore, NewJob, QueueLimit, ReplayedRequest, Start, StoreError,
    StoredRequest,
};
use tower_async_job_postgres::PostgresStore;

use crate::support::Place;

const LIMIT: usize = 10;

/// The longest time for which anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns a job that is offered, unless too many wait.
fn offered(store: &PostgresStore) -> NewJob {
    let request = StoredRequest::encode(&ReplayedRequest::default());
    NewJob::new(store.new_id(None, None))
        .with_request(request)
        .with_start(Start::Offered)
        .with_queue_limit(QueueLimit::new(LIMIT, usize::MAX))
}

fn is_refused(created: &Result<Created, StoreError>) -> bool {
    created.as_ref().is_err_and(StoreError::is_queue_full)
}

#[tokio::test]
async fn s38_creates_that_race_exceed_the_limit_at_most_by_those_of_other_nodes() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let open = || place.builder().operation_timeout(PATIENCE).connect();
    let [store, other] = [open().await.unwrap(), open().await.unwrap()];
    // The last create of a statement waits for another transaction, which has its key, so that
    // those before it have been counted and are not committed.
    let key = IdempotencyKey::new("k", [0; 32]).unwrap();
    let digest: String = key.digest(None).map(|byte| format!("{byte:02x}")).concat();
    let client = place.client().await;
    let take_key =
        format!("BEGIN; INSERT INTO keys VALUES ('\\x{digest}', gen_random_uuid(), '\\x00')");
    client.batch_execute(&take_key).await.unwrap();
    let jobs = (0..LIMIT).map(|_| offered(&store));
    let jobs = jobs.chain([offered(&store).with_idempotency(key)]);
    let mut creates: Vec<_> = jobs.map(|job| store.create(job)).collect();
    // All of them are queued before the first is sent.
    poll_fn(|cx| {
        let mut polls = creates.iter_mut().map(|create| create.as_mut().poll(cx));
        assert!(polls.all(|poll| poll.is_pending()));
        Ready(())
    })
    .await;
    let waiting = format!(
        "SELECT pid FROM pg_stat_activity WHERE application_name = '{}' AND wait_event_type = 'Lock'",
        place.application()
    );
    let begun = Instant::now();
    // One message of the answer is its end, and one names its columns.
    while place.execute(&waiting).await.len() < 3 {
        assert!(begun.elapsed() < PATIENCE, "no create waits for the key");
    }

    // The other node does not see them, and counts its own.
    for _ in 0..LIMIT {
        let made = other.create(offered(&other)).await;
        assert!(matches!(made, Ok(Created::Offered { .. })), "{made:?}");
    }
    assert!(is_refused(&other.create(offered(&other)).await));
    client.batch_execute("ROLLBACK").await.unwrap();
    for (place, create) in creates.into_iter().enumerate() {
        let made = create.await;
        assert_eq!(is_refused(&made), place == LIMIT, "{made:?}");
    }
    for store in [store, other] {
        assert!(is_refused(&store.create(offered(&store)).await));
    }
}

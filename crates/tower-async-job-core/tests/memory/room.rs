//! Room for results: reserved, released, and made if there is none.

use std::time::Duration;

use http_polling::JobState;
use tower_async_job_core::{
    Created, DELIVERED_KEPT, IdempotencyKey, JobHandle, JobId, JobStore, Lease, MemoryStore,
    NewJob, Retention, SweepQuery,
};

use crate::common::*;

const SECOND: Duration = Duration::from_secs(1);

fn used(store: &MemoryStore) -> usize {
    store.usage().unwrap().bytes
}

/// Returns a store with room for three results of 1 kB.
fn small() -> (MemoryStore, TestClock) {
    store_with(|builder| builder.max_bytes(3_500))
}

fn keyed(key: &str) -> NewJob {
    job().with_idempotency(IdempotencyKey::new(key, [1; 32]).unwrap())
}

async fn ended(store: &MemoryStore, job: NewJob) -> Lease {
    let lease = create(store, job).await;
    store.finish(&lease, done(&[0; 1000])).await.unwrap();
    lease
}

async fn states(store: &MemoryStore, ids: &[JobId]) -> Vec<JobState> {
    let mut states = Vec::new();
    for id in ids {
        states.push(state(store, id).await.unwrap());
    }
    states
}

#[tokio::test]
async fn s68_room_is_reserved_as_a_result_comes() {
    let (store, _) = small();
    let (first, second) = (create(&store, job()).await, create(&store, job()).await);
    for bytes in [500, 1000, 2000, 2000] {
        store.reserve(&first, bytes).await.unwrap();
        assert_eq!(used(&store), bytes);
    }
    let full = store.reserve(&second, 2000).await.unwrap_err();
    assert_eq!(full.limit().unwrap().value, 3_500);
    store.reserve(&second, 1500).await.unwrap();
    // The result fits into its reserved room, though no other room is left.
    store.finish(&first, done(&[0; 1900])).await.unwrap();
    assert!(used(&store) < 3_500);
    store.cancel(&second.id).await.unwrap();
    assert!(used(&store) < 2_000);
    let stale = store.reserve(&second, 10).await.unwrap_err();
    assert!(stale.is_lease_lost());
}

#[tokio::test]
async fn s73_room_for_a_result_is_taken_when_its_job_is_created() {
    let (store, _) = small();
    let lease = create(&store, job().with_result_room(3_000)).await;
    assert_eq!(used(&store), 3_000);
    assert!(store.check_room(400).is_ok());
    assert!(store.check_room(600).unwrap_err().is_full());
    let refused = store.create(job().with_result_room(600)).await;
    assert!(refused.unwrap_err().is_full());
    store.finish(&lease, done(b"small")).await.unwrap();
    assert!(store.check_room(600).is_ok());
}

#[tokio::test]
async fn s73_delivered_results_go_first_the_oldest_first_and_others_never() {
    let (store, clock) = small();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(ended(&store, job()).await.id);
    }
    store.note_delivery(&ids[1], None);
    clock.advance(2 * SECOND);
    store.note_delivery(&ids[0], None);
    clock.advance(DELIVERED_KEPT - 2 * SECOND);
    let next = create(&store, job()).await;
    let full = store.finish(&next, done(&[0; 1000])).await.unwrap_err();
    assert_eq!(
        full.retry_after(),
        Some(SECOND),
        "the first is kept for 60 s"
    );
    clock.advance(SECOND);
    store.finish(&next, done(&[0; 1000])).await.unwrap();
    ids.push(next.id);
    use JobState::{Done, Expired};
    assert_eq!(states(&store, &ids).await, [Done, Expired, Done, Done]);

    clock.advance(HOUR / 2);
    let next = ended(&store, job()).await;
    ids.push(next.id);
    assert_eq!(
        states(&store, &ids).await,
        [Expired, Expired, Done, Done, Done]
    );
    // No delivered result is left.
    let late = create(&store, job()).await;
    let full = store.finish(&late, done(&[0; 1000])).await.unwrap_err();
    assert!(full.is_full() && full.retry_after() > Some(HOUR / 4));
}

#[tokio::test]
async fn s73_nothing_is_dropped_for_what_never_fits() {
    let (store, clock) = small();
    let first = ended(&store, job()).await;
    store.note_delivery(&first.id, None);
    clock.advance(2 * DELIVERED_KEPT);
    let huge = create(&store, job()).await;
    let full = store.finish(&huge, done(&[0; 4000])).await.unwrap_err();
    assert_eq!(
        (full.limit().unwrap().value, full.retry_after()),
        (3_500, None)
    );
    assert_eq!(state(&store, &first.id).await, Some(JobState::Done));
}

#[tokio::test]
async fn s73_repeat_in_a_full_store_drops_nothing() {
    let (store, clock) = store_with(|builder| builder.max_jobs(1));
    let first = ended(&store, keyed("key")).await;
    store.note_delivery(&first.id, None);
    clock.advance(2 * DELIVERED_KEPT);
    match store.create(keyed("key")).await.unwrap() {
        Created::Existing(record) => assert_eq!(record.state, JobState::Done),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn s73_repeated_create_in_a_full_store_drops_nothing() {
    let (store, clock) = store_with(|builder| builder.max_jobs(2));
    let first = ended(&store, job()).await;
    store.note_delivery(&first.id, None);
    clock.advance(2 * DELIVERED_KEPT);
    let repeated = job();
    let lease = create(&store, repeated.clone()).await;
    assert_eq!(create(&store, repeated.clone()).await, lease);
    let other = repeated.with_handle(JobHandle::random());
    assert!(store.create(other).await.unwrap_err().is_conflict());
    assert_eq!(state(&store, &first.id).await, Some(JobState::Done));
}

#[tokio::test]
async fn s73_reading_renews_a_delivered_result() {
    let (store, clock) = small();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(ended(&store, job()).await.id);
        store.note_delivery(&ids[ids.len() - 1], None);
        clock.advance(SECOND);
    }
    clock.advance(2 * DELIVERED_KEPT);
    store.note_delivery(&ids[0], None);
    ids.push(ended(&store, job()).await.id);
    use JobState::{Done, Expired};
    assert_eq!(states(&store, &ids).await, [Done, Expired, Done, Done]);
}

#[tokio::test]
async fn s73_delivered_results_make_room_for_jobs_too() {
    let (store, clock) = store_with(|builder| builder.max_jobs(2));
    for job in [job(), keyed("key")] {
        let lease = ended(&store, job).await;
        store.note_delivery(&lease.id, None);
    }
    let full = store.create(job()).await.unwrap_err();
    assert_eq!(full.limit().unwrap().setting, "max_jobs");
    clock.advance(2 * DELIVERED_KEPT);
    create(&store, job()).await;
    create(&store, job()).await;
    assert!(store.create(job()).await.unwrap_err().is_full());
}

#[tokio::test]
async fn s73_key_of_a_dropped_result_counts_until_its_retention() {
    let (store, clock) = small();
    let first = ended(&store, keyed("key")).await;
    store.note_delivery(&first.id, None);
    clock.advance(2 * DELIVERED_KEPT);
    for _ in 0..2 {
        ended(&store, job()).await;
    }
    let last = create(&store, job()).await;
    store.finish(&last, done(&[0; 1000])).await.unwrap();
    assert_eq!(state(&store, &first.id).await, Some(JobState::Expired));
    assert_repeats(&store, &first).await;
    clock.advance(HOUR - 2 * DELIVERED_KEPT);
    assert!(matches!(
        store.create(keyed("key")).await.unwrap(),
        Created::New { .. }
    ));
}

#[tokio::test]
async fn s73_the_end_of_a_tombstone_makes_no_room() {
    let (store, clock) = small();
    let short = Retention::new(SECOND, 10 * SECOND);
    ended(&store, job().with_retention(short)).await;
    clock.advance(2 * SECOND);
    store.sweep(&SweepQuery::default()).await.unwrap();
    for _ in 0..3 {
        ended(&store, job()).await;
    }
    let full = store.check_room(1_000).unwrap_err();
    assert!(full.retry_after() > Some(HOUR / 2), "{full:?}");
    clock.advance(10 * SECOND);
    assert!(store.check_room(1_000).unwrap_err().is_full());
}

async fn assert_repeats(store: &MemoryStore, first: &Lease) {
    match store.create(keyed("key")).await.unwrap() {
        Created::Existing(record) => {
            assert_eq!((record.id, record.state), (first.id, JobState::Expired));
        }
        other => panic!("{other:?}"),
    }
}

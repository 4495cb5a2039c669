//! Creating a job at once.

use tower_async_job_core::{
    Created, IdempotencyKey, JobStore, Lease, MemoryStore, NewJob, Retention,
};

use crate::common::*;

fn create_now(store: &MemoryStore, job: NewJob) -> Created {
    store.create_now(job).expect("there is room").unwrap()
}

fn keyed(fingerprint: u8) -> NewJob {
    let key = IdempotencyKey::new("key", [fingerprint; 32]).unwrap();
    job().with_idempotency(key)
}

#[tokio::test]
async fn creating_at_once_agrees_with_creating() {
    let store = MemoryStore::builder().max_jobs(2).build();
    let first = keyed(1);
    let lease = Lease::new(first.id, 1);
    let created = create_now(&store, first.clone());
    assert!(matches!(created, Created::New { lease: given, .. } if given == lease));
    // A repeat, in either way, gives the same lease again.
    assert_eq!(create_now(&store, first.clone()), created);
    assert_eq!(store.create(first).await.unwrap(), created);

    let Created::Existing(record) = create_now(&store, keyed(1)) else {
        panic!("the key has a job");
    };
    assert_eq!(record.id, lease.id);
    assert_eq!(create_now(&store, keyed(2)), Created::KeyReused);

    assert!(matches!(create_now(&store, job()), Created::New { .. }));
    // Room might have to be made, which is left to the future.
    assert!(store.create_now(job()).is_err());
    assert!(store.create(job()).await.unwrap_err().is_full());
}

#[tokio::test]
async fn what_has_expired_makes_room_for_much() {
    let (store, clock) = store_with(|builder| builder.max_bytes(100_000));
    let short = Retention::new(LEASE, HOUR);
    for _ in 0..90 {
        let lease = create(&store, job().with_retention(short)).await;
        store.finish(&lease, done(&[7; 1_000])).await.unwrap();
    }
    let lease = create(&store, job()).await;
    clock.advance(HOUR);
    store.finish(&lease, done(&[7; 50_000])).await.unwrap();
}

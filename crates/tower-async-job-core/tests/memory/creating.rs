//! Immediate creates.

use tower_async_job_core::{
    Created, IdempotencyKey, JobStore, Lease, MemoryStore, NewJob, QueueLimit, Start,
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
async fn an_immediate_create_answers_as_create_does() {
    let store = MemoryStore::builder().max_jobs(2).build();
    let first = keyed(1);
    let lease = Lease::new(first.id, 1);
    let created = create_now(&store, first.clone());
    assert!(matches!(created, Created::New { lease: given, .. } if given == lease));
    // A repeat by either call returns the same lease.
    assert_eq!(create_now(&store, first.clone()), created);
    assert_eq!(store.create(first).await.unwrap(), created);

    let Created::Existing(record) = create_now(&store, keyed(1)) else {
        panic!("the key has a job");
    };
    assert_eq!(record.id, lease.id);
    assert_eq!(create_now(&store, keyed(2)), Created::KeyReused);

    assert!(matches!(create_now(&store, job()), Created::New { .. }));
    // Room may have to be made, which is left to the future.
    assert!(store.create_now(job()).is_err());
    assert!(store.create(job()).await.unwrap_err().is_full());
}

#[test]
fn s38_creates_of_many_threads_keep_to_the_queue_limit_exactly() {
    let store = MemoryStore::new();
    let stored = std::thread::scope(|scope| {
        let creators: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let offered = || job().with_start(Start::Offered);
                    let limited = || offered().with_queue_limit(QueueLimit::new(100, 100));
                    let stored = |_: &usize| store.create_now(limited()).is_ok_and(|it| it.is_ok());
                    (0..100).filter(stored).count()
                })
            })
            .collect();
        let counts = creators.into_iter().map(|creator| creator.join().unwrap());
        counts.sum::<usize>()
    });
    assert_eq!(stored, 100);
}

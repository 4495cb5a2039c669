//! Subscriptions that are checked in batches.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{sync::Notify, task::JoinSet};
use tower_async_job_core::{JobId, StoreError, Waiters};

#[tokio::test]
async fn last_subscription_to_a_job_ends_its_watch() {
    let waiters = Waiters::default();
    let id = JobId::random();
    let (first, second) = (waiters.subscribe(&id), waiters.subscribe(&id));
    drop(first);
    assert_eq!(waiters.watched(), [id]);
    drop(second);
    assert!(waiters.watched().is_empty());
    let old = waiters.subscribe(&id);
    waiters.notify(&id);
    let new = waiters.subscribe(&id);
    drop(old);
    assert_eq!(waiters.watched(), [id], "that of the new one");
    waiters.notify_all();
    new.await;
}

#[tokio::test]
async fn s25_lost_notification_is_found_by_the_next_batch() {
    let waiters = Arc::new(Waiters::default());
    let (tick, batches) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let recheck = {
        let (waiters, tick, batches) = (waiters.clone(), tick.clone(), batches.clone());
        async move {
            let pause = || {
                let tick = Arc::clone(&tick);
                async move { tick.notified().await }
            };
            let ended = |ids: Vec<JobId>| {
                let first = batches.fetch_add(1, Ordering::Relaxed) == 0;
                async move {
                    if first {
                        Err(StoreError::unavailable("once"))
                    } else {
                        Ok(ids)
                    }
                }
            };
            waiters.recheck(pause, ended).await
        }
    };
    let recheck = tokio::spawn(recheck);
    tokio::task::yield_now().await;
    tick.notify_one();
    tokio::task::yield_now().await;
    assert_eq!(batches.load(Ordering::Relaxed), 0, "no job is watched");

    let mut all = JoinSet::new();
    for _ in 0..100 {
        all.spawn(waiters.subscribe(&JobId::random()));
    }
    while batches.load(Ordering::Relaxed) < 2 {
        tick.notify_one();
        tokio::task::yield_now().await;
    }
    assert_eq!(all.join_all().await.len(), 100);
    assert_eq!(batches.load(Ordering::Relaxed), 2);
    recheck.abort();
}

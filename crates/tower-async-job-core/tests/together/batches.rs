//! Reads that share round trips.

use std::{
    collections::HashMap,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Waker},
};

use tokio::{sync::Notify, task::JoinSet};
use tower_async_job_core::{ReadBatch, StoreError};

/// Counts its rounds, each of which is held until released.
#[derive(Default)]
struct Rounds {
    count: AtomicUsize,
    go: Notify,
}

fn run(batch: &Arc<ReadBatch<u32, u32>>, rounds: &Arc<Rounds>) -> tokio::task::JoinHandle<()> {
    let (batch, rounds) = (Arc::clone(batch), Arc::clone(rounds));
    tokio::spawn(async move {
        let fetch = |keys: Vec<u32>| {
            let rounds = Arc::clone(&rounds);
            async move {
                rounds.count.fetch_add(1, Ordering::Relaxed);
                rounds.go.notified().await;
                Ok(keys
                    .into_iter()
                    .map(|key| (key, key + 1))
                    .collect::<HashMap<_, _>>())
            }
        };
        match batch.run(fetch).await {}
    })
}

#[tokio::test]
async fn s27_ten_thousand_reads_of_one_job_take_few_round_trips() {
    let (batch, rounds) = (Arc::new(ReadBatch::default()), Arc::new(Rounds::default()));
    let driver = run(&batch, &rounds);
    tokio::task::yield_now().await;
    let mut reads = JoinSet::new();
    for _ in 0..10_000 {
        let batch = Arc::clone(&batch);
        reads.spawn(async move { batch.read(7).await.unwrap() });
    }
    while let Some(read) = {
        rounds.go.notify_one();
        reads.join_next().await
    } {
        assert_eq!(read.unwrap(), Some(8));
    }
    assert!(rounds.count.load(Ordering::Relaxed) <= 3);
    driver.abort();
}

#[tokio::test]
async fn read_joins_the_next_batch_and_never_the_current_one() {
    let (batch, rounds) = (Arc::new(ReadBatch::default()), Arc::new(Rounds::default()));
    let driver = run(&batch, &rounds);
    tokio::task::yield_now().await;
    let first = tokio::spawn({
        let batch = Arc::clone(&batch);
        async move { batch.read(1).await }
    });
    while rounds.count.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    let mut late = pin!(batch.read(1));
    let mut context = Context::from_waker(Waker::noop());
    assert!(late.as_mut().poll(&mut context).is_pending());
    rounds.go.notify_one();
    assert_eq!(first.await.unwrap().unwrap(), Some(2));
    assert!(late.as_mut().poll(&mut context).is_pending());
    rounds.go.notify_one();
    assert_eq!(late.await.unwrap(), Some(2));
    assert_eq!(rounds.count.load(Ordering::Relaxed), 2);
    driver.abort();
}

#[tokio::test]
async fn read_before_the_first_batches_are_run_waits_for_them() {
    let (batch, rounds) = (Arc::new(ReadBatch::default()), Arc::new(Rounds::default()));
    let mut early = pin!(batch.read(1));
    let mut context = Context::from_waker(Waker::noop());
    assert!(early.as_mut().poll(&mut context).is_pending());
    let driver = run(&batch, &rounds);
    rounds.go.notify_one();
    assert_eq!(early.await.unwrap(), Some(2));
    driver.abort();
}

#[tokio::test]
async fn reads_fail_when_nothing_runs_batches_any_more() {
    let (batch, rounds) = (Arc::new(ReadBatch::default()), Arc::new(Rounds::default()));
    let driver = run(&batch, &rounds);
    tokio::task::yield_now().await;
    let mut reads: Vec<_> = (0..2).map(|key| Box::pin(batch.read(key))).collect();
    let mut context = Context::from_waker(Waker::noop());
    for read in &mut reads {
        assert!(Pin::new(read).poll(&mut context).is_pending());
        tokio::task::yield_now().await;
    }
    driver.abort();
    for read in reads {
        assert!(read.await.unwrap_err().is_unavailable());
    }
    assert!(batch.read(1).await.unwrap_err().is_unavailable());
}

#[tokio::test]
async fn error_of_a_batch_is_told_to_all_its_reads() {
    let batch = Arc::new(ReadBatch::<u32, u32>::default());
    let driver = {
        let batch = Arc::clone(&batch);
        tokio::spawn(async move {
            match batch
                .run(async |_| Err(StoreError::corrupt("a reason")))
                .await {}
        })
    };
    tokio::task::yield_now().await;
    let (one, other) = tokio::join!(batch.read(1), batch.read(2));
    for error in [one.unwrap_err(), other.unwrap_err()] {
        assert!(error.is_corrupt());
        assert_eq!(
            std::error::Error::source(&error).unwrap().to_string(),
            "a reason"
        );
    }
    driver.abort();
}

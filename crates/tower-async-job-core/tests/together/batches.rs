//! Reads that share round trips.

use std::{
    collections::HashMap,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Waker},
    time::{Duration, Instant},
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

/// Runs batches that gather reads, and counts them and the passes.
fn gather(batch: &Arc<ReadBatch<u32, u32>>, rounds: &Arc<Rounds>, passes: &Arc<AtomicUsize>) {
    let (batch, rounds, passes) = (Arc::clone(batch), Arc::clone(rounds), Arc::clone(passes));
    tokio::spawn(async move {
        let pass = || {
            passes.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now()
        };
        let fetch = async |keys: Vec<u32>| {
            rounds.count.fetch_add(1, Ordering::Relaxed);
            Ok(keys.into_iter().map(|key| (key, key + 1)).collect())
        };
        match batch.run_gathering(pass, fetch).await {}
    });
}

#[tokio::test]
async fn s27_reads_that_arrive_one_after_another_are_one_round_trip() {
    let (batch, rounds) = (Arc::new(ReadBatch::default()), Arc::new(Rounds::default()));
    let passes = Arc::default();
    gather(&batch, &rounds, &passes);
    gather(&batch, &rounds, &passes);
    let mut reads = JoinSet::new();
    for number in 0..3000 {
        let batch = Arc::clone(&batch);
        reads.spawn(async move {
            for _ in 0..number / 100 {
                tokio::task::yield_now().await;
            }
            batch.read(7).await.unwrap()
        });
    }
    assert_eq!(reads.join_all().await, [Some(8); 3000]);
    assert_eq!(rounds.count.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn single_read_waits_for_one_pass() {
    let (batch, rounds) = (Arc::new(ReadBatch::default()), Arc::new(Rounds::default()));
    let passes = Arc::default();
    gather(&batch, &rounds, &passes);
    for number in 1..=3 {
        assert_eq!(batch.read(7).await.unwrap(), Some(8));
        assert_eq!(passes.load(Ordering::Relaxed), number);
    }
}

/// A machine that is busy takes long for each pass.
#[tokio::test]
async fn s27_reads_that_arrive_slowly_hold_off_no_batch() {
    let batch = Arc::new(ReadBatch::default());
    let driver = Arc::clone(&batch);
    let drive = async move {
        let pass = || {
            std::thread::sleep(Duration::from_millis(20));
            tokio::task::yield_now()
        };
        let fetch = async |keys: Vec<u32>| Ok(keys.into_iter().map(|key| (key, 8)).collect());
        match driver.run_gathering(pass, fetch).await {}
    };
    tokio::spawn(drive);
    let more = tokio::spawn({
        let batch = Arc::clone(&batch);
        async move {
            loop {
                let mut read = Box::pin(batch.read(7));
                let _ = read.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                tokio::task::yield_now().await;
            }
        }
    });
    let begun = Instant::now();
    assert_eq!(batch.read(7).await.unwrap(), Some(8));
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    more.abort();
}

#[tokio::test]
async fn reads_that_never_cease_to_arrive_hold_off_no_batch() {
    let (batch, rounds) = (Arc::new(ReadBatch::default()), Arc::new(Rounds::default()));
    gather(&batch, &rounds, &Arc::default());
    for is_one_key in [true, false] {
        let more = tokio::spawn({
            let batch = Arc::clone(&batch);
            async move {
                for key in 0.. {
                    let read = batch.read(if is_one_key { 7 } else { key });
                    let mut read = Box::pin(read);
                    // It joins the batch, and is given up.
                    let _ = read.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    tokio::task::yield_now().await;
                }
            }
        });
        assert_eq!(batch.read(7).await.unwrap(), Some(8));
        more.abort();
    }
    assert!(rounds.count.load(Ordering::Relaxed) >= 2);
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

//! The size of the log.

use std::{fs, sync::Arc};

use tower_async_job_core::{Detail, JobStore};
use tower_async_job_sqlite::SqliteStore;

use crate::{add, replayable};

const BOUND: u64 = 32 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_keeps_its_bound_under_load() {
    const REQUEST: usize = 64 << 10;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let builder = SqliteStore::builder().max_log_bytes(BOUND);
    let store = Arc::new(builder.open(&path).await.unwrap());
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let store = Arc::clone(&store);
        clients.spawn(async move {
            for _ in 0..100 {
                let lease = add(&store, replayable(REQUEST)).await;
                store.read(&lease.id, Detail::Full).await.unwrap();
            }
        });
    }
    let log = directory.path().join("jobs.db-wal");
    let mut largest = 0;
    while !clients.is_empty() {
        let tick = std::time::Duration::from_millis(1);
        let joined = tokio::time::timeout(tick, clients.join_next()).await;
        if let Ok(Some(joined)) = joined {
            joined.unwrap();
        }
        largest = largest.max(fs::metadata(&log).unwrap().len());
    }
    // Without a bound, all of it would be in the log.
    let written = 16 * 100 * REQUEST as u64;
    assert!(written > 3 * BOUND);
    assert!(largest <= BOUND, "{largest}");
    assert!(largest > BOUND / 8, "{largest}");
}

#[tokio::test]
async fn log_that_another_program_has_let_grow_shrinks_to_its_bound() {
    const REQUEST: usize = 1 << 20;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let builder = SqliteStore::builder().max_log_bytes(BOUND);
    let store = builder.open(&path).await.unwrap();
    let reader = rusqlite::Connection::open(&path).unwrap();
    let read = "BEGIN; SELECT count(*) FROM jobs";
    reader.execute_batch(read).unwrap();
    let log = directory.path().join("jobs.db-wal");
    let length = || fs::metadata(&log).unwrap().len();
    while length() <= BOUND + REQUEST as u64 {
        add(&store, replayable(REQUEST)).await;
    }
    reader.execute_batch("COMMIT").unwrap();
    let shrunk = async {
        while length() > BOUND {
            add(&store, replayable(REQUEST)).await;
        }
    };
    let patience = std::time::Duration::from_secs(20);
    tokio::time::timeout(patience, shrunk)
        .await
        .expect("in time");
}

#[tokio::test]
async fn checkpoints_are_made_beside_the_writer_before_the_log_reaches_its_bound() {
    const REQUEST: u64 = 1 << 20;
    const WRITTEN: u64 = 8 * REQUEST;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let store = SqliteStore::open(&path).await.unwrap();
    for _ in 0..WRITTEN / REQUEST {
        add(&store, replayable(REQUEST as usize)).await;
    }
    let copied = async {
        while fs::metadata(&path).unwrap().len() < WRITTEN / 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let patience = std::time::Duration::from_secs(20);
    tokio::time::timeout(patience, copied)
        .await
        .expect("in time");
}

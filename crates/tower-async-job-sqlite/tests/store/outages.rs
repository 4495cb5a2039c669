//! A store that cannot write, since another program has the lock.

use std::time::Duration;

use http_polling::JobState;
use rusqlite::Connection;
use tower_async_job_core::JobStore;
use tower_async_job_sqlite::SqliteStore;

use crate::{add, done, job, state};

#[tokio::test]
async fn s17_s18_s19_a_locked_file_fails_writes_in_time_and_reads_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let builder = SqliteStore::builder().operation_timeout(Duration::from_millis(400));
    let store = builder.open(&path).await.unwrap();
    let lease = add(&store, job()).await;

    let locking = Connection::open(&path).unwrap();
    locking.execute_batch("BEGIN IMMEDIATE").unwrap();
    let new = job();
    for refused in [
        store.create(new.clone()).await.unwrap_err(),
        store.finish(&lease, done(4).into()).await.unwrap_err(),
    ] {
        assert!(refused.is_unavailable(), "{refused}");
        let reason = std::error::Error::source(&refused).unwrap().to_string();
        let expected = "jobs.db` is locked by another program: end it, for example a `sqlite3`";
        assert!(reason.contains(expected), "{reason}");
    }
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Running));
    assert_eq!(state(&store, &new.id).await, None);

    locking.execute_batch("COMMIT").unwrap();
    // A repeat is right, whatever became of the first.
    add(&store, new).await;
    store.finish(&lease, done(4).into()).await.unwrap();
}

#[tokio::test]
async fn a_lock_that_is_soon_given_up_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let locking = Connection::open(&path).unwrap();
    locking.execute_batch("BEGIN IMMEDIATE").unwrap();
    let unlock = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(400));
        locking.execute_batch("COMMIT").unwrap();
    });
    add(&store, job()).await;
    unlock.await.unwrap();
}

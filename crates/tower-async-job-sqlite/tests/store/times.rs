//! The time of the store.

use std::path::Path;

use http_polling::JobState;
use tower_async_job_core::{Detail, JobStore, SweepQuery};
use tower_async_job_sqlite::SqliteStore;

use crate::{add, clock::TestClock, done, job, state};

const HOUR: i64 = 3600;

/// The duration of a lease, in seconds.
const LEASE: i64 = 30;

async fn open(path: &Path, clock: &TestClock) -> SqliteStore {
    let builder = SqliteStore::builder().clock(clock.clone());
    builder.open(path).await.unwrap()
}

#[tokio::test]
async fn s15_time_goes_on_after_a_restart_though_the_day_was_set_back() {
    let directory = tempfile::tempdir().unwrap();
    let (path, clock) = (directory.path().join("jobs.db"), TestClock::new());
    let store = open(&path, &clock).await;
    clock.advance(HOUR);
    let (running, ended) = (add(&store, job()).await, add(&store, job()).await);
    store.finish(&ended, done(4).into()).await.unwrap();
    drop(store);

    clock.set(-2 * HOUR);
    let store = open(&path, &clock).await;
    store.sweep(&SweepQuery::default()).await.unwrap();
    let record = store.read(&ended.id, Detail::Full).await.unwrap().unwrap();
    assert_eq!((record.state, record.age.as_secs()), (JobState::Done, 0));
    clock.advance(LEASE - 1);
    store.sweep(&SweepQuery::default()).await.unwrap();
    assert_eq!(state(&store, &running.id).await, Some(JobState::Running));
    clock.advance(1);
    store.sweep(&SweepQuery::default()).await.unwrap();
    assert_eq!(state(&store, &running.id).await, Some(JobState::Lost));
    clock.advance(HOUR - LEASE);
    assert_eq!(state(&store, &ended.id).await, Some(JobState::Expired));
}

#[tokio::test]
async fn deliveries_are_written_when_the_store_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let (path, clock) = (directory.path().join("jobs.db"), TestClock::new());
    let store = open(&path, &clock).await;
    let lease = add(&store, job()).await;
    store.finish(&lease, done(4).into()).await.unwrap();
    store.note_delivery(&lease.id, Some(std::time::Duration::from_secs(5)));
    clock.advance(7);
    // Before it is written.
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Expired));
    drop(store);
    let store = open(&path, &clock).await;
    // The threads of the closed store end in the background.
    let written = async {
        while state(&store, &lease.id).await != Some(JobState::Expired) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let patience = std::time::Duration::from_secs(20);
    tokio::time::timeout(patience, written)
        .await
        .expect("the delivery is written");
}

#[tokio::test]
async fn the_time_for_which_the_store_is_closed_counts() {
    let directory = tempfile::tempdir().unwrap();
    let (path, clock) = (directory.path().join("jobs.db"), TestClock::new());
    let store = open(&path, &clock).await;
    let lease = add(&store, job()).await;
    store.finish(&lease, done(4).into()).await.unwrap();
    drop(store);
    clock.advance(HOUR);
    let store = open(&path, &clock).await;
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Expired));
    assert_eq!(
        store
            .read(&lease.id, Detail::Status)
            .await
            .unwrap()
            .unwrap()
            .age
            .as_secs(),
        3600
    );
}

#[tokio::test]
async fn s14_a_day_that_is_set_while_the_store_is_open_has_no_effect() {
    let directory = tempfile::tempdir().unwrap();
    let (path, clock) = (directory.path().join("jobs.db"), TestClock::new());
    let store = open(&path, &clock).await;
    let lease = add(&store, job()).await;
    let before = store.sweep(&SweepQuery::default()).await.unwrap().now;
    for set in [5 * HOUR, -9 * HOUR] {
        clock.set(set);
        assert_eq!(
            store.sweep(&SweepQuery::default()).await.unwrap().now,
            before
        );
        assert_eq!(state(&store, &lease.id).await, Some(JobState::Running));
    }
}

#[tokio::test]
async fn s14_a_process_that_opens_the_file_at_a_later_day_ends_no_lease_that_is_renewed() {
    let directory = tempfile::tempdir().unwrap();
    let (path, clock) = (directory.path().join("jobs.db"), TestClock::new());
    let store = open(&path, &clock).await;
    let [renewed, abandoned] = [add(&store, job()).await, add(&store, job()).await];
    clock.advance(LEASE / 3);
    store.renew(&[renewed, abandoned]).await.unwrap();

    // The machine slept, or its day was set.
    let ahead = open(&path, &clock.another(HOUR / 2)).await;
    let sweep = async || ahead.sweep(&SweepQuery::default()).await.unwrap();
    clock.advance(LEASE - 1);
    sweep().await;
    for lease in [renewed, abandoned] {
        assert_eq!(state(&ahead, &lease.id).await, Some(JobState::Running));
    }
    assert!(store.renew(&[renewed]).await.unwrap()[0].is_held());
    clock.advance(1);
    sweep().await;
    assert_eq!(state(&ahead, &renewed.id).await, Some(JobState::Running));
    assert_eq!(state(&ahead, &abandoned.id).await, Some(JobState::Lost));
}

#[tokio::test]
async fn s14_leases_of_a_dead_process_go_on_only_once_however_often_the_file_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let (path, clock) = (directory.path().join("jobs.db"), TestClock::new());
    let store = open(&path, &clock).await;
    let [abandoned, renewed] = [add(&store, job()).await, add(&store, job()).await];
    drop(store);

    // A process that ends before a lease does, and is started again some time later.
    clock.advance(HOUR);
    let first = open(&path, &clock).await;
    clock.advance(LEASE - 1);
    assert_eq!(state(&first, &abandoned.id).await, Some(JobState::Running));
    assert!(first.renew(&[renewed]).await.unwrap()[0].is_held());
    drop(first);
    clock.advance(HOUR);
    let second = open(&path, &clock).await;
    second.sweep(&SweepQuery::default()).await.unwrap();
    assert_eq!(state(&second, &abandoned.id).await, Some(JobState::Lost));
    // The holder of this lease was alive after the first opening.
    assert_eq!(state(&second, &renewed.id).await, Some(JobState::Running));
    drop(second);
    clock.advance(HOUR);
    let third = open(&path, &clock).await;
    third.sweep(&SweepQuery::default()).await.unwrap();
    assert_eq!(state(&third, &renewed.id).await, Some(JobState::Lost));
}

#[tokio::test]
async fn s14_processes_whose_days_differ_agree_on_the_later_time() {
    let directory = tempfile::tempdir().unwrap();
    let (path, clock) = (directory.path().join("jobs.db"), TestClock::new());
    let store = open(&path, &clock).await;
    let lease = add(&store, job()).await;
    // Whose day is behind takes the time from the file.
    let behind = open(&path, &clock.another(-HOUR)).await;
    let now = store.sweep(&SweepQuery::default()).await.unwrap().now;
    assert_eq!(behind.sweep(&SweepQuery::default()).await.unwrap().now, now);
    clock.advance(LEASE - 1);
    behind.sweep(&SweepQuery::default()).await.unwrap();
    assert_eq!(state(&behind, &lease.id).await, Some(JobState::Running));

    // The time of one that is ahead becomes that of all with its first commit.
    let ahead = open(&path, &clock.another(HOUR)).await;
    add(&ahead, job()).await;
    let now = ahead.sweep(&SweepQuery::default()).await.unwrap().now;
    for store in [&store, &behind] {
        assert_eq!(store.sweep(&SweepQuery::default()).await.unwrap().now, now);
    }
    clock.advance(1);
    let later = ahead.sweep(&SweepQuery::default()).await.unwrap().now;
    assert!(later > now);
    for store in [&store, &behind] {
        assert_eq!(
            store.sweep(&SweepQuery::default()).await.unwrap().now,
            later
        );
    }
}

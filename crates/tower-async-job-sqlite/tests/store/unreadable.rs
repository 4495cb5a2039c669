//! Rows that cannot be read.

use std::{path::Path, time::Duration};

use http_polling::JobState;
use rusqlite::Connection;
use tower_async_job_core::{
    ClaimKind, ClaimQuery, Detail, JobId, JobQuery, JobStore, Release, Released, Renewal, Report,
    SweepQuery,
};
use tower_async_job_sqlite::SqliteStore;

use crate::{add, claim, clock::TestClock, done, job, offer, replayable, state};

/// Executes a statement about one job behind the store's back.
fn tamper(path: &Path, sql: &str, id: &JobId) {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    let changed = connection.execute(sql, [id.to_bits().to_be_bytes()]);
    assert_eq!(changed.unwrap(), 1);
}

const DAMAGE: &str = "UPDATE jobs SET owner = 7 WHERE id = ?";
const NEWER: &str = "UPDATE jobs SET format = format + 1 WHERE id = ?";

#[tokio::test]
async fn s41_s42_an_unreadable_job_costs_no_other_its_lease() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let mut leases = Vec::new();
    for _ in 0..3 {
        leases.push(add(&store, replayable(0)).await);
    }
    tamper(&path, DAMAGE, &leases[0].id);
    tamper(&path, NEWER, &leases[1].id);
    let renewed = store.renew(&leases).await.unwrap();
    // Renewing needs only the readable columns of the first.
    assert_eq!(renewed[1..], [Renewal::Lost, Renewal::Held]);
    let released = store.release(&leases, Release::default()).await.unwrap();
    assert_eq!(released, [Released::Lost, Released::Lost, Released::Queued]);
}

#[tokio::test]
async fn s42_a_job_whose_checkpoint_is_missing_ends_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let (damaged, sound) = (replayable(0), replayable(0));
    let handle = damaged.handle;
    let lease = add(&store, damaged).await;
    let note = Report::default().with_checkpoint("note");
    store.report(&lease, note).await.unwrap();
    store.release(&[lease], Release::default()).await.unwrap();
    let sql = "DELETE FROM parts WHERE id = (SELECT checkpoint FROM jobs WHERE id = ?)";
    tamper(&path, sql, &lease.id);
    let sound = offer(&store, sound).await;
    let claims = store.claim(&ClaimQuery::new(9)).await.unwrap();
    assert_eq!(claims.unreadable, [handle]);
    assert_eq!(claims.jobs[0].lease.id, sound);
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Failed));
    assert!(claim(&store, 9).await.is_empty());
}

#[tokio::test]
async fn s42_an_unreadable_notification_is_given_up_once_and_its_job_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let notified = job().with_notify("due");
    let handle = notified.handle;
    let lease = add(&store, notified).await;
    store.finish(&lease, done(4).into()).await.unwrap();
    let sql = "DELETE FROM parts WHERE id = (SELECT notify FROM jobs WHERE id = ?)";
    tamper(&path, sql, &lease.id);
    let query = ClaimQuery::new(9).with_kind(ClaimKind::Notify);
    assert_eq!(store.claim(&query).await.unwrap().unreadable, [handle]);
    assert!(store.claim(&query).await.unwrap().unreadable.is_empty());
    let record = store.read(&lease.id, Detail::Full).await.unwrap().unwrap();
    assert!(record.outcome.is_some());
}

#[tokio::test]
async fn s42_unreadable_jobs_do_not_stop_sweeps_and_are_gone_in_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let clock = TestClock::new();
    let builder = SqliteStore::builder().clock(clock.clone());
    let store = builder.open(&path).await.unwrap();
    let running = add(&store, replayable(10)).await;
    let ended = add(&store, job()).await;
    store.finish(&ended, done(4).into()).await.unwrap();
    let streamed = add(&store, job()).await;
    let chunk = bytes::Bytes::from_static(b"a part of the result");
    store.write_chunk(&streamed, 0, chunk).await.unwrap();
    for id in [&running.id, &ended.id, &streamed.id] {
        tamper(&path, DAMAGE, id);
    }
    let sound = add(&store, job()).await;
    clock.advance(30);
    store.sweep(&SweepQuery::default()).await.unwrap();
    assert_eq!(state(&store, &sound.id).await, Some(JobState::Lost));
    for _ in 0..4 {
        clock.advance(3600);
        store.sweep(&SweepQuery::default()).await.unwrap();
    }
    let connection = Connection::open(&path).unwrap();
    for table in ["jobs", "parts", "chunks", "bodies"] {
        let sql = format!("SELECT count(*) FROM {table}");
        let count: i64 = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(count, 0, "{table}");
    }
}

#[tokio::test]
async fn s42_each_unreadable_job_is_counted_on_one_page() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let store = SqliteStore::open(&path).await.unwrap();
    for number in 0..12 {
        let lease = add(&store, job()).await;
        if number % 3 != 1 {
            tamper(&path, DAMAGE, &lease.id);
        }
    }
    let mut query = JobQuery::default().with_limit(1);
    let (mut jobs, mut unreadable) = (0, 0);
    loop {
        let page = store.list(&query).await.unwrap();
        jobs += page.jobs.len();
        unreadable += page.unreadable;
        match page.next {
            Some(next) => query = query.with_after(next),
            None => break,
        }
    }
    assert_eq!((jobs, unreadable), (4, 8));
}

#[tokio::test]
async fn s41_jobs_of_a_newer_format_stay_though_their_time_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let clock = TestClock::new();
    let builder = SqliteStore::builder().clock(clock.clone());
    let store = builder.open(&path).await.unwrap();
    let lease = add(&store, job()).await;
    tamper(&path, NEWER, &lease.id);
    clock.advance(100_000);
    let upkeep = store.sweep(&SweepQuery::default()).await.unwrap();
    assert_ne!(upkeep.next, Some(Duration::ZERO), "it does not loop");
    for error in [
        store.read(&lease.id, Detail::Full).await.unwrap_err(),
        store.cancel(&lease.id).await.unwrap_err(),
        store.finish(&lease, done(4).into()).await.unwrap_err(),
    ] {
        assert!(error.is_unsupported_version());
    }
}

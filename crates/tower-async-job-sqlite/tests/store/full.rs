//! A file that has reached its limit.

use std::path::Path;

use http_polling::{JobState, Problem, ProblemType};
use rusqlite::Connection;
use tower_async_job_core::{
    Created, Detail, End, IdempotencyKey, JobStore, Lease, Outcome, Report, Retention, StoreError,
    StoreLimit,
};
use tower_async_job_sqlite::SqliteStore;

use crate::{add, claim, clock::TestClock, done, job, offer, replayable, response, state};

const MAX_BYTES: u64 = 1 << 20;

struct Full {
    store: SqliteStore,
    clock: TestClock,
    /// Its jobs that have not ended.
    pending: Vec<Lease>,
    /// Its jobs that have ended.
    ended: Vec<Lease>,
    directory: tempfile::TempDir,
}

/// Fills a store with results.
async fn full() -> Full {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let clock = TestClock::new();
    let builder = SqliteStore::builder()
        .max_bytes(MAX_BYTES)
        .clock(clock.clone());
    let store = builder.open(&path).await.unwrap();
    let mut pending = Vec::new();
    for _ in 0..5 {
        pending.push(add(&store, replayable(0).with_max_attempts(9)).await);
    }
    let mut ended = Vec::new();
    let error = loop {
        let new = job();
        let lease = new.first_lease();
        if let Err(error) = store.create(new).await {
            break error;
        }
        match store.finish(&lease, done(10_000).into()).await {
            Ok(()) => ended.push(lease),
            Err(error) => break error,
        }
    };
    assert_full(&error);
    assert!(ended.len() > 50, "{}", ended.len());
    Full {
        store,
        clock,
        pending,
        ended,
        directory,
    }
}

fn assert_full(error: &StoreError) {
    assert!(error.is_full(), "{error}");
    assert_eq!(error.limit(), Some(StoreLimit::new("max_bytes", MAX_BYTES)));
}

#[tokio::test]
async fn s20_a_full_file_refuses_what_is_new_and_keeps_what_is_there() {
    let Full {
        store,
        ended,
        directory: _directory,
        ..
    } = full().await;
    assert_full(&store.create(replayable(100_000)).await.unwrap_err());
    for lease in &ended {
        let record = store.read(&lease.id, Detail::Full).await.unwrap().unwrap();
        assert_eq!(record.state, JobState::Done);
        assert!(record.outcome.is_some());
    }
}

#[tokio::test]
async fn s20_a_job_whose_result_would_find_no_room_is_refused() {
    let Full {
        store,
        ended,
        directory: _directory,
        ..
    } = full().await;
    let expected = || job().with_result_room(100_000);
    assert_full(&store.create(expected()).await.unwrap_err());
    for lease in &ended[..20] {
        assert!(store.remove(&lease.id).await.unwrap());
    }
    store.create(expected()).await.unwrap();
    assert_full(
        &store
            .create(job().with_result_room(1_000_000))
            .await
            .unwrap_err(),
    );
}

#[tokio::test]
async fn s20_what_ends_a_job_or_removes_one_is_possible_in_a_full_file() {
    let Full {
        store,
        pending,
        ended,
        directory: _directory,
        ..
    } = full().await;
    let problem = || Outcome::Failed(Problem::new(ProblemType::JobFailed));
    let [failing, cancelled, released, ..] = pending[..] else {
        unreachable!("there are five")
    };
    let report = Report::default().with_partial(serde_json::json!("x".repeat(100_000)));
    let end = tower_async_job_core::End::from(problem()).with_report(report);
    // A report without room is left out.
    store.finish(&failing, end).await.unwrap();
    assert_eq!(state(&store, &failing.id).await, Some(JobState::Failed));
    store.cancel(&cancelled.id).await.unwrap();
    store
        .release(&[released], Default::default())
        .await
        .unwrap();
    assert_eq!(claim(&store, 9).await[0].lease.id, released.id);
    assert!(store.renew(&pending[3..]).await.unwrap()[0].is_held());

    for lease in &ended[..5] {
        assert!(store.remove(&lease.id).await.unwrap());
    }
    offer(&store, replayable(5000)).await;
}

#[tokio::test]
async fn s20_a_full_file_answers_known_keys() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let builder = SqliteStore::builder().max_bytes(MAX_BYTES);
    let store = builder.open(&path).await.unwrap();
    let keyed = || job().with_idempotency(IdempotencyKey::new("key", [1; 32]).unwrap());
    let first = add(&store, keyed()).await;
    while store.create(replayable(10_000)).await.is_ok() {}
    assert_full(&store.create(replayable(10_000)).await.unwrap_err());
    match store.create(keyed()).await.unwrap() {
        Created::Existing(found) => assert_eq!(found.id, first.id),
        other => panic!("{other:?}"),
    }
}

/// Performs one call of each kind, and returns the places of those that find no room.
async fn live(store: &SqliteStore) -> Vec<usize> {
    let key = IdempotencyKey::new("key", [1; 32]).unwrap();
    let new = replayable(700).with_notify("an end").with_idempotency(key);
    let (first, second) = (new.first_lease(), job());
    let other = second.first_lease();
    let partial = || Report::default().with_partial(serde_json::json!("x".repeat(600)));
    let streamed = Outcome::Streamed {
        head: response(0),
        chunks: 1,
        len: 900,
    };
    let results = [
        store.create(new).await.map(drop),
        store.report(&first, partial()).await,
        store.write_chunk(&first, 0, vec![7; 900].into()).await,
        store
            .finish(&first, End::from(streamed).with_report(partial()))
            .await,
        store.create(second).await.map(drop),
        store.finish(&other, done(800).into()).await,
        store.cancel(&other.id).await.map(drop),
        store.remove(&first.id).await.map(drop),
        store.sweep(&Default::default()).await.map(drop),
    ];
    let mut full = Vec::new();
    for (place, result) in results.iter().enumerate() {
        match result {
            Err(error) if error.is_full() => full.push(place),
            Err(error) => assert!(error.is_lease_lost(), "{error:?}"),
            Ok(()) => {}
        }
    }
    full
}

#[tokio::test]
async fn s20_wherever_the_room_ends_each_call_is_whole_or_undone() {
    let directory = tempfile::tempdir().unwrap();
    let builder = || SqliteStore::builder().page_size(512).readers(1);
    let path = directory.path().join("empty.db");
    drop(builder().open(&path).await.unwrap());
    let number = |path: &Path, sql: &str| {
        let connection = Connection::open(path).unwrap();
        connection
            .query_row(sql, [], |row| row.get::<_, u32>(0))
            .unwrap()
    };
    let empty = number(&path, "SELECT page_count FROM pragma_page_count");
    let mut refused = Vec::new();
    for pages in 0..24 {
        let path = directory.path().join(format!("{pages}.db"));
        let limited = builder().max_bytes(u64::from(empty + pages) * 512);
        refused.push(live(&limited.open(&path).await.unwrap()).await);
        for orphans in [
            "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
            "SELECT count(*) FROM keys WHERE job NOT IN (SELECT key FROM jobs)",
            "SELECT count(*) FROM parts JOIN jobs ON job = key WHERE parts.id NOT IN (\
             ifnull(request, 0), ifnull(response, 0), ifnull(partial, 0), ifnull(notify, 0))",
            "SELECT count(*) FROM parts WHERE job NOT IN (SELECT key FROM jobs)",
            "SELECT count(*) FROM chunks WHERE job NOT IN (SELECT job FROM bodies)",
        ] {
            assert_eq!(number(&path, orphans), 0, "{pages}: {orphans}");
        }
    }
    assert!(
        refused[0].contains(&0) && refused[23].is_empty(),
        "{refused:?}"
    );
    refused.dedup();
    assert!(
        refused.len() > 3,
        "the room ends in different calls: {refused:?}"
    );
}

#[tokio::test]
async fn s20_what_has_expired_makes_room() {
    let Full {
        store,
        clock,
        ended,
        directory: _directory,
        ..
    } = full().await;
    clock.advance(3600);
    let retention = Retention::default();
    add(&store, replayable(100_000).with_retention(retention)).await;
    assert_eq!(state(&store, &ended[0].id).await, Some(JobState::Expired));
}

#[tokio::test]
async fn s73_results_that_were_delivered_make_room_oldest_first() {
    let Full {
        store,
        clock,
        ended,
        directory: _directory,
        ..
    } = full().await;
    for lease in &ended[..10] {
        store.note_delivery(&lease.id, None);
        clock.advance(1);
    }
    assert_full(&store.create(replayable(10_000)).await.unwrap_err());
    clock.advance(60);
    add(&store, replayable(10_000)).await;
    assert_eq!(state(&store, &ended[0].id).await, Some(JobState::Expired));
    assert_eq!(state(&store, &ended[11].id).await, Some(JobState::Done));
}

#[tokio::test]
async fn the_limit_holds_for_an_existing_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let lease = add(&store, job()).await;
    store.finish(&lease, done(200_000).into()).await.unwrap();
    drop(store);
    let builder = SqliteStore::builder().max_bytes(MAX_BYTES);
    let store = builder.open(&path).await.unwrap();
    assert_full(
        &store
            .create(replayable(MAX_BYTES as usize))
            .await
            .unwrap_err(),
    );
    let pages = Connection::open(&path)
        .unwrap()
        .pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0))
        .unwrap();
    assert!(pages as u64 * 4096 <= MAX_BYTES);
}

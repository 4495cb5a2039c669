//! A log that was cut off or damaged, as by a power cut.

use std::{fs, path::Path};

use http_polling::Progress;
use rusqlite::Connection;
use tower_async_job_core::{
    Created, Detail, IdempotencyKey, JobId, JobStore, NewJob, Principal, RecordedOutcome, Report,
};
use tower_async_job_sqlite::SqliteStore;

use crate::{add, done, replayable};

const JOBS: usize = 30;

fn keyed(number: usize) -> NewJob {
    let key = IdempotencyKey::new(number.to_string(), [1; 32]).unwrap();
    replayable(3000)
        .with_principal(Principal::new("owner"))
        .with_idempotency(key)
}

/// Creates jobs, reports on them, and ends some.
async fn fill(store: &SqliteStore) -> Vec<JobId> {
    let mut ids = Vec::new();
    for number in 0..JOBS {
        let lease = add(store, keyed(number)).await;
        let report = Report::default()
            .with_progress(Progress::of(1, 2))
            .with_partial(serde_json::json!("x".repeat(2000)));
        store.report(&lease, report).await.unwrap();
        if number % 2 == 0 {
            store.finish(&lease, done(5000).into()).await.unwrap();
        }
        ids.push(lease.id);
    }
    ids
}

/// Checks that a store has some of the first jobs, each of them whole; returns their number.
async fn check(path: &Path, ids: &[JobId]) -> usize {
    let store = SqliteStore::open(path).await.unwrap();
    let mut known = 0;
    for (number, id) in ids.iter().enumerate() {
        let Some(record) = store.read(id, Detail::Full).await.unwrap() else {
            let key = keyed(number).idempotency.unwrap();
            let found = store.look_up(Some(&Principal::new("owner")), &key).await;
            assert_eq!(found.unwrap(), None, "a key without a job");
            continue;
        };
        assert_eq!(known, number, "a later job is there, and this one is not");
        known += 1;
        assert_eq!(record.progress.is_some(), record.partial.is_some());
        let response = matches!(record.outcome, Some(RecordedOutcome::Response(_)));
        assert_eq!(response, record.state.is_final());
        match store.create(keyed(number)).await.unwrap() {
            Created::Existing(found) => assert_eq!(found.id, *id),
            other => panic!("{other:?}"),
        }
    }
    drop(store);
    let connection = Connection::open(path).unwrap();
    let sound = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0));
    assert_eq!(sound, Ok("ok".to_owned()));
    known
}

#[tokio::test]
async fn s01_of_a_log_that_is_cut_or_damaged_anywhere_whole_operations_are_left() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let ids = fill(&store).await;
    let log = directory.path().join("jobs.db-wal");
    let (file, log) = (fs::read(&path).unwrap(), fs::read(log).unwrap());
    let mut counts = Vec::new();
    for round in 0..40 {
        let place = log.len() * round / 40 + round;
        let mut damaged = log.clone();
        if round % 2 == 0 {
            damaged.truncate(place);
        } else {
            damaged[place] ^= 255;
        }
        let copy = directory.path().join(format!("{round}.db"));
        fs::write(&copy, &file).unwrap();
        fs::write(directory.path().join(format!("{round}.db-wal")), damaged).unwrap();
        counts.push(check(&copy, &ids).await);
    }
    assert!(counts.is_sorted(), "{counts:?}");
    assert!(counts[39] > JOBS / 2, "{counts:?}");
}

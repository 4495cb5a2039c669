//! Files that cannot be opened.

use std::{fs, path::Path, time::Duration};

use http_polling::JobState;
use rusqlite::Connection;
use tower_async_job_core::{ClaimQuery, JobStore, SweepQuery};
use tower_async_job_sqlite::{OpenError, SqliteStore};

use crate::clock::TestClock;

/// Opens a file, which must fail with a text that has the path and these words.
async fn refused(path: &Path, words: &str) -> OpenError {
    let builder = SqliteStore::builder().operation_timeout(Duration::from_millis(500));
    let error = builder.open(path).await.expect_err("it cannot be opened");
    let text = error.to_string();
    assert!(text.contains(words), "{text}");
    assert!(format!("{error:?}").contains(words), "{error:?}");
    assert!(
        text.contains(path.file_name().unwrap().to_str().unwrap()),
        "{text}"
    );
    error
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    let text = "These are notes, and no database, whatever is opened.\n".repeat(100);
    fs::write(&path, &text).unwrap();
    let error = refused(&path, "is not a SQLite database").await;
    assert!(error.is_not_a_database());
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    let error = refused(directory.path(), "is not a SQLite database").await;
    assert!(error.is_not_a_database());
}

#[tokio::test]
async fn a_database_of_another_application_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.db");
    for sql in [
        "CREATE TABLE other (a)",
        "PRAGMA user_version = 1; CREATE TABLE b (a)",
    ] {
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(sql).unwrap();
        drop(connection);
        let before = fs::read(&path).unwrap();
        assert!(refused(&path, "another application").await.is_foreign());
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[tokio::test]
async fn s41_a_file_of_a_newer_release_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    drop(SqliteStore::open(&path).await.unwrap());
    let connection = Connection::open(&path).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let error = refused(&path, "has version 99 of the schema").await;
    assert!(error.is_newer());
    let version = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    let version = connection.pragma_query_value(None, "user_version", version);
    assert_eq!(version, Ok(99));
}

#[tokio::test]
async fn s41_an_open_store_writes_nothing_to_a_file_that_a_newer_release_has_migrated() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let lease = crate::add(&store, crate::job()).await;
    let connection = Connection::open(&path).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    let commits = || {
        let sql = "SELECT commits FROM store";
        connection.query_row(sql, [], |row| row.get::<_, i64>(0))
    };
    let before = commits();
    connection.pragma_update(None, "user_version", 2).unwrap();
    let leases = [lease];
    store.note_delivery(&lease.id, Some(Duration::ZERO));
    for error in [
        store.create(crate::job()).await.unwrap_err(),
        store.renew(&leases).await.unwrap_err(),
        store.claim(&ClaimQuery::new(1)).await.unwrap_err(),
        store.sweep(&SweepQuery::default()).await.unwrap_err(),
        store.cancel(&lease.id).await.unwrap_err(),
        store
            .finish(&lease, crate::done(4).into())
            .await
            .unwrap_err(),
    ] {
        assert!(error.is_unavailable(), "{error}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("has version 2 of the schema"), "{source}");
    }
    assert_eq!(commits(), before);
    assert_eq!(
        crate::state(&store, &lease.id).await,
        Some(JobState::Running)
    );
    // The upgrade is taken back.
    connection.pragma_update(None, "user_version", 1).unwrap();
    let ended = store.finish(&lease, crate::done(4).into());
    ended.await.unwrap();
}

#[tokio::test]
async fn a_file_that_another_program_locks_is_not_waited_for_without_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert!(
        refused(&path, "is locked by another program")
            .await
            .is_locked()
    );
    connection.execute_batch("COMMIT").unwrap();
    drop(connection);
    SqliteStore::open(&path).await.unwrap();
}

#[tokio::test]
async fn a_missing_directory_is_not_created() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("missing/jobs.db");
    assert!(
        refused(&path, "does not exist")
            .await
            .is_directory_missing()
    );
    assert!(!directory.path().join("missing").exists());
}

#[cfg(unix)]
#[tokio::test]
async fn device_is_no_file() {
    let error = refused(Path::new("/dev/null"), "is not a file: choose another path").await;
    assert!(error.is_not_a_database());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_that_open_a_new_file_at_once_create_it_once() {
    for _ in 0..15 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("jobs.db");
        let mut opening = tokio::task::JoinSet::new();
        for _ in 0..6 {
            opening.spawn(SqliteStore::open(path.clone()));
        }
        for store in opening.join_all().await {
            store.unwrap();
        }
        let names = fs::read_dir(directory.path()).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        let is_known = |name: &std::ffi::OsString| {
            ["jobs.db", "jobs.db-wal", "jobs.db-shm"].contains(&name.to_str().unwrap())
        };
        assert!(names.iter().all(is_known), "{names:?}");
    }
}

#[tokio::test]
async fn no_duration_is_too_long() {
    let directory = tempfile::tempdir().unwrap();
    let builder = SqliteStore::builder()
        .operation_timeout(Duration::MAX)
        .lease_duration(Duration::MAX);
    let path = directory.path().join("jobs.db");
    let store = builder.open(path).await.unwrap();
    let lease = crate::add(&store, crate::job()).await;
    let ended = store.finish(&lease, crate::done(4).into());
    ended.await.unwrap();
    store.sweep(&SweepQuery::default()).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn link_to_a_file_that_is_missing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("jobs.db");
    std::os::unix::fs::symlink(directory.path().join("gone.db"), &link).unwrap();
    let error = refused(&link, "is a link to a file that does not exist").await;
    assert!(!error.is_permission_denied());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_file_that_is_soon_unlocked_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    drop(SqliteStore::open(&path).await.unwrap());
    let locking = Connection::open(&path).unwrap();
    locking.busy_timeout(Duration::from_secs(5)).unwrap();
    // An older schema, which is migrated.
    let older = "BEGIN IMMEDIATE; PRAGMA user_version = 0; DROP VIEW overview; DROP TABLE store; \
                 DROP TABLE jobs; DROP TABLE parts; DROP TABLE keys; DROP TABLE chunks; \
                 DROP TABLE bodies; DROP TABLE nodes; DROP TABLE waiting; COMMIT; BEGIN IMMEDIATE";
    locking.execute_batch(older).unwrap();
    let unlock = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(600));
        locking.execute_batch("COMMIT").unwrap();
    });
    let store = SqliteStore::open(&path).await.unwrap();
    crate::add(&store, crate::job()).await;
    unlock.await.unwrap();
}

#[tokio::test]
async fn a_file_whose_leases_are_prolonged_when_it_is_opened_is_waited_for_too() {
    let directory = tempfile::tempdir().unwrap();
    let (path, clock) = (directory.path().join("jobs.db"), TestClock::new());
    let builder = || SqliteStore::builder().clock(clock.clone());
    let store = builder().open(&path).await.unwrap();
    let lease = crate::add(&store, crate::job()).await;
    drop(store);
    let locking = Connection::open(&path).unwrap();
    locking.busy_timeout(Duration::from_secs(5)).unwrap();
    locking.execute_batch("BEGIN IMMEDIATE").unwrap();
    clock.advance(3600);
    let unlock = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_secs(1));
        locking.execute_batch("COMMIT").unwrap();
    });
    let store = builder().open(&path).await.unwrap();
    let state = crate::state(&store, &lease.id).await;
    assert_eq!(state, Some(JobState::Running));
    unlock.await.unwrap();
}

//! Files that are taken from an open store.

use std::{fs, path::Path};

use http_polling::JobState;
use tower_async_job_core::{Detail, JobStore};
use tower_async_job_sqlite::SqliteStore;

use crate::{add, done, job, state};

/// Checks that a store acknowledges no change once this was done to its file.
async fn refuses_after(harm: impl FnOnce(&Path)) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let lease = add(&store, job()).await;
    harm(&path);
    for error in [
        store.create(job()).await.unwrap_err(),
        store.finish(&lease, done(4).into()).await.unwrap_err(),
    ] {
        assert!(error.is_unavailable(), "{error}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("jobs.db"), "{source}");
        assert!(source.ends_with("was deleted, moved or replaced: restart with the right file"));
    }
    // A read may fail, but no job is forgotten.
    let read = store.read(&lease.id, Detail::Status).await;
    assert!(!matches!(read, Ok(None)));
}

#[tokio::test]
async fn no_change_is_acknowledged_once_the_file_is_deleted() {
    refuses_after(|path| fs::remove_file(path).unwrap()).await;
}

#[tokio::test]
async fn no_change_is_acknowledged_once_the_log_is_deleted() {
    refuses_after(|path| fs::remove_file(path.with_extension("db-wal")).unwrap()).await;
}

#[tokio::test]
async fn no_change_is_acknowledged_once_the_file_is_replaced_by_a_copy() {
    refuses_after(|path| {
        let copy = path.with_extension("copy");
        fs::copy(path, &copy).unwrap();
        fs::rename(copy, path).unwrap();
    })
    .await;
}

#[tokio::test]
async fn file_that_a_link_names_may_get_another_link() {
    let directory = tempfile::tempdir().unwrap();
    let [path, link] = ["jobs.db", "link.db"].map(|name| directory.path().join(name));
    drop(SqliteStore::open(&path).await.unwrap());
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let store = SqliteStore::open(&link).await.unwrap();
    let lease = add(&store, job()).await;
    let other = SqliteStore::open(&path).await.unwrap();
    assert_eq!(state(&other, &lease.id).await, Some(JobState::Running));
    other.finish(&lease, done(4).into()).await.unwrap();
    add(&store, job()).await;
}

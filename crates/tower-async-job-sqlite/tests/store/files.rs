//! The files of the store.

use std::{fs, path::Path};

use http_polling::JobState;
use rusqlite::Connection;
use tower_async_job_core::{JobStore, Principal, SweepQuery};
use tower_async_job_sqlite::SqliteStore;

use crate::{add, done, job, replayable, state};

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let store = SqliteStore::open(&path).await.unwrap();
    add(&store, job()).await;
    let mut names = Vec::new();
    for entry in fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.path());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort_unstable();
    assert_eq!(names, ["jobs.db", "jobs.db-shm", "jobs.db-wal"]);
}

#[cfg(unix)]
#[tokio::test]
async fn file_that_was_created_empty_becomes_its_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    add(&store, job()).await;
    let files = fs::read_dir(directory.path()).unwrap();
    let modes = files.map(|file| file.unwrap().metadata().unwrap().permissions().mode());
    assert_eq!(
        modes.map(|mode| mode & 0o777).collect::<Vec<_>>(),
        [0o600; 3]
    );
}

#[tokio::test]
async fn bytes_in_use_are_told_with_their_limit() {
    const RESULT: usize = 1 << 20;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let store = SqliteStore::builder().max_bytes(4 << 20).open(&path).await;
    let store = store.unwrap();
    let empty = store.usage().unwrap();
    assert_eq!(empty.max_bytes, 4 << 20);
    assert!(empty.bytes > 0 && empty.bytes < RESULT, "{empty:?}");
    let lease = add(&store, job()).await;
    store.finish(&lease, done(RESULT).into()).await.unwrap();
    assert!(store.usage().unwrap().bytes >= RESULT);

    // A sweep shows what another process has changed.
    let other = SqliteStore::open(&path).await.unwrap();
    assert!(other.usage().unwrap().bytes >= RESULT);
    other.remove(&lease.id).await.unwrap();
    store.sweep(&SweepQuery::default()).await.unwrap();
    for store in [store, other] {
        assert!(store.usage().unwrap().bytes < RESULT);
    }
}

#[tokio::test]
async fn no_name_of_a_file_has_a_special_meaning() {
    let directory = tempfile::tempdir().unwrap();
    for name in [":memory:", "file:jobs.db?mode=memory", "ä b"] {
        let path = directory.path().join(name);
        let store = SqliteStore::open(&path).await.unwrap();
        let lease = add(&store, job()).await;
        drop(store);
        let store = SqliteStore::open(&path).await.unwrap();
        assert_eq!(
            state(&store, &lease.id).await,
            Some(JobState::Running),
            "{name}"
        );
        assert!(path.metadata().unwrap().len() > 0);
    }
}

#[tokio::test]
async fn a_backup_of_an_open_store_can_be_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let lease = add(&store, job()).await;
    store.finish(&lease, done(100_000).into()).await.unwrap();
    let copy = directory.path().join("backup.db");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute("VACUUM INTO ?", [copy.to_str().unwrap()])
        .unwrap();
    let backup = SqliteStore::open(&copy).await.unwrap();
    let detail = tower_async_job_core::Detail::Full;
    let outcome = async |store: &SqliteStore| {
        let record = store.read(&lease.id, detail).await.unwrap().unwrap();
        record.outcome.unwrap()
    };
    assert_eq!(outcome(&backup).await, outcome(&store).await);
}

#[tokio::test]
async fn operators_see_jobs_without_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let job = replayable(10)
        .with_route("/reports")
        .with_principal(Principal::new("tenant-7"));
    let handle = job.handle.to_string();
    let lease = add(&store, job).await;
    store.finish(&lease, done(10).into()).await.unwrap();
    let connection = Connection::open(&path).unwrap();
    let sql = "SELECT handle, state, route, owner, created FROM overview";
    let row = connection.query_row(sql, [], |row| {
        let text = |column| row.get::<_, String>(column);
        Ok([text(0)?, text(1)?, text(2)?, text(3)?, text(4)?])
    });
    let [shown, state, route, owner, created] = row.unwrap();
    assert_eq!((shown, &*state), (handle, "done"));
    assert_eq!((&*route, &*owner), ("/reports", "tenant-7"));
    assert!(created.starts_with("20"));
}

#[tokio::test]
async fn s06_of_a_run_that_was_killed_no_chunk_is_seen_or_left() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let clock = crate::clock::TestClock::new();
    let open = async |path: &Path| {
        let builder = SqliteStore::builder().chunk_size(1000).clock(clock.clone());
        builder.open(path).await.unwrap()
    };
    let store = open(&path).await;
    let lease = add(&store, job()).await;
    for index in 0..200 {
        let chunk = vec![7; 1000].into();
        store.write_chunk(&lease, index, chunk).await.unwrap();
    }
    // As a process leaves them that is killed.
    let copy = directory.path().join("copy.db");
    for suffix in ["", "-wal"] {
        let name = |path: &Path| format!("{}{suffix}", path.display());
        fs::copy(name(&path), name(&copy)).unwrap();
    }
    let store = open(&copy).await;
    let detail = tower_async_job_core::Detail::Full;
    let record = store.read(&lease.id, detail).await.unwrap().unwrap();
    assert_eq!((record.state, record.result), (JobState::Running, None));
    clock.advance(30);
    store.sweep(&SweepQuery::default()).await.unwrap();
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Lost));
    assert_eq!(rows(&copy)[3..], [200, 1]);
    clock.advance(600);
    store.sweep(&SweepQuery::default()).await.unwrap();
    assert_eq!(rows(&copy)[3..], [0, 0]);
}

#[tokio::test]
async fn nothing_is_left_of_jobs_in_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let clock = crate::clock::TestClock::new();
    let builder = SqliteStore::builder().chunk_size(10).clock(clock.clone());
    let store = builder.open(&path).await.unwrap();
    fill(&store).await;
    assert_ne!(rows(&path), [0; 5]);
    for _ in 0..8 {
        clock.advance(3600);
        store.sweep(&SweepQuery::default()).await.unwrap();
    }
    assert_eq!(rows(&path), [0; 5]);
}

/// Creates jobs that end in all ways, with parts of all kinds.
async fn fill(store: &SqliteStore) {
    use bytes::Bytes;
    use tower_async_job_core::{IdempotencyKey, Outcome, Report};
    for number in 0..40 {
        let key = IdempotencyKey::new(number.to_string(), [1; 32]).unwrap();
        let job = replayable(10).with_idempotency(key).with_notify("due");
        let lease = add(store, job).await;
        let report = Report::default()
            .with_progress(http_polling::Progress::of(1, 2))
            .with_partial(serde_json::json!([1]))
            .with_metadata(serde_json::Map::new())
            .with_checkpoint("note");
        store.report(&lease, report.clone()).await.unwrap();
        store.report(&lease, report).await.unwrap();
        let chunk = Bytes::from_static(&[7; 10]);
        store.write_chunk(&lease, 0, chunk.clone()).await.unwrap();
        store.write_chunk(&lease, 0, chunk).await.unwrap();
        match number % 5 {
            0 => store.finish(&lease, done(10).into()).await.unwrap(),
            1 => {
                let Outcome::Done(head) = done(0) else {
                    unreachable!("it is done")
                };
                let (chunks, len) = (1, 10);
                let streamed = Outcome::Streamed { head, chunks, len };
                store.finish(&lease, streamed.into()).await.unwrap();
                store.remove(&lease.id).await.unwrap();
            }
            2 => drop(store.cancel(&lease.id).await.unwrap()),
            3 => store.discard(&lease).await.unwrap(),
            // Its lease ends, and no worker claims it.
            _ => {}
        }
    }
}

fn rows(path: &Path) -> [i64; 5] {
    let connection = Connection::open(path).unwrap();
    ["jobs", "parts", "keys", "chunks", "bodies"].map(|table| {
        let sql = format!("SELECT count(*) FROM {table}");
        connection.query_row(&sql, [], |row| row.get(0)).unwrap()
    })
}

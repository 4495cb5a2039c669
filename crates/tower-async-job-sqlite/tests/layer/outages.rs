//! Stores that are out of reach or full.

use std::{path::Path, time::Duration};

use axum::body::Body;
use http::{Method, Request, StatusCode, Uri};
use rusqlite::Connection;
use tokio::time::{Instant, sleep};
use tower_async_job::{OnStoreFailure, store::Retention};
use tower_async_job_sqlite::SqliteStoreBuilder;
use tower_async_job_testkit::{Call, Fault};

use crate::{LEASE, Node, directory, endless, request, routes, slow, until, watched};

const SHORT: Duration = Duration::from_millis(200);

/// Keeps all stores from writing until it is dropped, as another program within a transaction does.
struct Lock {
    _transaction: Connection,
}

impl Lock {
    fn take(path: &Path) -> Self {
        let connection = Connection::open(path).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        Self {
            _transaction: connection,
        }
    }
}

fn impatient(store: SqliteStoreBuilder) -> SqliteStoreBuilder {
    store.operation_timeout(SHORT)
}

fn jobs(path: &Path) -> u32 {
    let file = Connection::open(path).unwrap();
    let sql = "SELECT count(*) FROM overview";
    file.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn s10_an_end_whose_acknowledgement_is_lost_is_repeated_and_changes_nothing() {
    let (_directory, path) = directory();
    let node = Node::new(&path, slow(SHORT)).await;
    node.faults.next(Call::Finish, Fault::Unacknowledged);
    let url = node.submit("/once").await;
    assert_eq!(node.ended(&url).await.body, "attempt 1");
    until("it is repeated", || node.faults.calls(Call::Finish) == 2).await;
    sleep(SHORT).await;
    assert_eq!(node.get(&url).await.body, "attempt 1");
}

#[tokio::test]
async fn s16_a_node_that_cannot_write_aborts_its_jobs_before_their_leases_end() {
    let (_directory, path) = directory();
    let (routes, running) = watched();
    let node = Node::new(&path, routes).await;
    let other = Node::new(&path, endless()).await;
    let url = node.submit("/once").await;
    let lock = Lock::take(&path);
    let locked = Instant::now();
    until("it is dropped", || running.strong_count() == 0).await;
    assert!(locked.elapsed() < LEASE, "{:?}", locked.elapsed());
    // Polls are answered meanwhile.
    assert_eq!(other.get(&url).await.state(), "running");
    drop(lock);
    assert_eq!(other.ended(&url).await.state(), "lost");
}

#[tokio::test]
async fn s17_a_poll_that_cannot_read_is_told_to_come_again() {
    let (_directory, path) = directory();
    let node = Node::new(&path, endless()).await;
    let url = node.submit("/once").await;
    node.faults.next(Call::Read, Fault::Unavailable);
    let answer = node.get(&url).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_ne!(answer.header("retry-after"), "");
    assert_eq!(node.get(&url).await.state(), "running");
}

#[tokio::test]
async fn s18_a_submission_that_cannot_be_stored_stays_inline_or_is_refused() {
    let (_directory, path) = directory();
    for (failure, status) in [
        (OnStoreFailure::StayInline, StatusCode::OK),
        (OnStoreFailure::Refuse, StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let layer = |layer: tower_async_job::Builder| layer.on_store_failure(failure);
        let node = Node::with(&path, slow(5 * SHORT), layer, impatient).await;
        let lock = Lock::take(&path);
        let answer = node.send(request(Method::POST, "/once")).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(!answer.headers.contains_key("location"));
        drop(lock);
        sleep(SHORT).await;
        assert_eq!(jobs(&path), 0);
    }
}

#[tokio::test]
async fn s19_an_end_that_cannot_be_stored_is_repeated_until_the_lease_ends() {
    let (_directory, path) = directory();
    for (outage, body) in [(LEASE / 4, "attempt 1"), (LEASE * 3 / 2, "attempt 2")] {
        let node = Node::with(&path, slow(SHORT), |layer| layer, impatient).await;
        let other = Node::with(&path, slow(SHORT), |layer| layer, impatient).await;
        let url = node.submit("/again").await;
        let lock = Lock::take(&path);
        sleep(outage).await;
        assert_eq!(other.get(&url).await.state(), "running");
        drop(lock);
        other.work();
        assert_eq!(other.ended(&url).await.body, body);
    }
}

#[tokio::test]
async fn s20_a_full_file_refuses_submissions_and_serves_the_results_that_it_has() {
    let (_directory, path) = directory();
    let hour = Duration::from_secs(3600);
    let layer = |layer: tower_async_job::Builder| {
        layer
            .on_store_failure(OnStoreFailure::Refuse)
            .retention(Retention::new(hour, hour))
    };
    let full = |store: SqliteStoreBuilder| store.max_bytes(1 << 20);
    let long = routes(async |uri: Uri| {
        // A handler that ends before its job is stored would be answered inline.
        sleep(if uri.path() == "/once" { SHORT } else { LEASE }).await;
        "x".repeat(100_000)
    });
    let node = Node::with(&path, long, layer, full).await;
    let mut done = Vec::new();
    let failed = loop {
        let url = node.submit("/once").await;
        let answer = node.ended(&url).await;
        if answer.state() != "done" {
            break answer;
        }
        done.push(url);
        assert!(done.len() < 20, "it is never full");
    };
    assert!(done.len() > 5, "{}", done.len());
    assert_eq!(failed.state(), "failed");
    let text = String::from_utf8_lossy(&failed.body);
    assert!(text.contains("max_bytes"), "{text}");
    // A request that is stored with its job.
    let upload = Request::post("/again").body(Body::from(vec![7; 300_000]));
    let refused = node.send(upload.unwrap()).await;
    assert_eq!(
        refused.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{:?}",
        refused.headers
    );
    assert_eq!(refused.problem(), "capacity-exhausted");
    assert_ne!(refused.header("retry-after"), "");
    for url in done {
        assert_eq!(node.get(&url).await.body.len(), 100_000);
    }
}

//! Records that cannot be read, as by another release or a damage of the file.

use std::{path::Path, time::Duration};

use http::StatusCode;
use rusqlite::Connection;
use tower_async_job_core::JobId;

use crate::{Node, directory, id_of, slow};

const SHORT: Duration = Duration::from_millis(200);

/// Changes the row of a job behind the store's back.
fn tamper(path: &Path, id: JobId, change: &str) {
    let file = Connection::open(path).unwrap();
    file.busy_timeout(Duration::from_secs(5)).unwrap();
    let sql = format!("UPDATE jobs SET {change} WHERE id = ?");
    let changed = file.execute(&sql, [id.to_bits().to_be_bytes()]);
    assert_eq!(changed.unwrap(), 1);
}

#[tokio::test]
async fn s41_a_job_of_a_newer_release_is_503_and_stays() {
    let (_directory, path) = directory();
    let node = Node::new(&path, slow(SHORT)).await;
    let url = node.submit("/once").await;
    assert_eq!(node.ended(&url).await.body, "attempt 1");
    tamper(&path, id_of(&url), "format = format + 1");
    let answer = node.get(&url).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_ne!(answer.header("retry-after"), "");
    tamper(&path, id_of(&url), "format = format - 1");
    assert_eq!(node.get(&url).await.body, "attempt 1");
}

#[tokio::test]
async fn s42_a_damaged_job_is_500_and_others_go_on() {
    let (_directory, path) = directory();
    let node = Node::new(&path, slow(SHORT)).await;
    let [damaged, other] = [node.submit("/once").await, node.submit("/once").await];
    assert_eq!(node.ended(&damaged).await.body, "attempt 1");
    tamper(&path, id_of(&damaged), "owner = 7");
    for _ in 0..2 {
        let answer = node.get(&damaged).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.problem(), "record-unreadable");
    }
    assert_eq!(node.ended(&other).await.body, "attempt 1");
}

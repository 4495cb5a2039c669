//! Processes that are suspended, and processes that are told to stop.

use std::time::Duration;

use rusqlite::Connection;
use tokio::time::Instant;

use crate::{LEASE, Node, RECOVERY, child::Child, directory, id_of, slow};

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn s07_a_process_suspended_for_longer_than_its_lease_aborts_and_changes_nothing() {
    let (_directory, path) = directory();
    let mut child = Child::start("watch", &path);
    let url = child.next().unwrap();
    child.signal("STOP");
    let other = Node::new(&path, slow(SHORT)).await;
    other.work();
    assert_eq!(other.ended(&url).await.body, "attempt 2");
    child.signal("CONT");
    assert_eq!(child.next().as_deref(), Some("dropped"));
    tokio::time::sleep(LEASE).await;
    assert_eq!(other.get(&url).await.body, "attempt 2");
}

/// Returns the epoch and the attempt of a job.
fn claimed(path: &std::path::Path, url: &str) -> (u32, u32) {
    let file = Connection::open(path).unwrap();
    let sql = "SELECT epoch, attempt FROM jobs WHERE id = ?";
    let id = id_of(url).to_bits().to_be_bytes();
    file.query_row(sql, [id], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
}

#[tokio::test]
async fn s39_a_process_that_is_terminated_ends_what_it_can_and_hands_back_the_rest() {
    let (_directory, path) = directory();
    let mut child = Child::start("stop", &path);
    let [short, long, once] = [(); 3].map(|()| child.next().unwrap());
    let other = Node::new(&path, slow(SHORT)).await;
    other.work();
    child.signal("TERM");
    assert_eq!(other.ended(&short).await.body, "attempt 1 before the end");
    assert_eq!(child.next().as_deref(), Some("stopped"));
    let stopped = Instant::now();
    assert_eq!(other.ended(&long).await.body, "attempt 1");
    assert!(stopped.elapsed() < LEASE, "{:?}", stopped.elapsed());
    assert_eq!(claimed(&path, &long), (3, 1));
    assert_eq!(other.ended(&once).await.state(), "lost");
}

#[tokio::test]
async fn s40_a_process_that_is_terminated_twice_ends_at_once_and_its_jobs_as_if_it_were_killed() {
    let (_directory, path) = directory();
    let mut child = Child::start("stop", &path);
    let [short, long, once] = [(); 3].map(|()| child.next().unwrap());
    let other = Node::new(&path, slow(SHORT)).await;
    other.work();
    assert_eq!(other.ended(&short).await.body, "attempt 1 before the end");
    child.signal("TERM");
    // One signal at a time, or they are taken for one.
    tokio::time::sleep(SHORT).await;
    let begun = Instant::now();
    child.signal("TERM");
    assert_eq!(child.rest(), [""; 0]);
    assert!(begun.elapsed() < Duration::from_secs(1), "{begun:?}");
    assert_eq!(other.ended(&long).await.body, "attempt 2");
    assert_eq!(other.ended(&once).await.state(), "lost");
    assert!(begun.elapsed() < RECOVERY, "{:?}", begun.elapsed());
}

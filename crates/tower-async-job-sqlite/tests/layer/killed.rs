//! Processes that are killed, and the nodes that go on with their jobs.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use http::StatusCode;
use rusqlite::Connection;
use tokio::time::{Instant, sleep};
use tower_async_job::{JobContext, Role};
use tower_async_job_core::{Clock, JobStore, SweepQuery};
use tower_async_job_sqlite::{SqliteStore, SqliteStoreBuilder};

use crate::{
    Answer, LEASE, Node, RECOVERY, attempt,
    child::Child,
    directory, endless,
    roles::{CHUNK, RESULT},
    routes, slow,
};

/// The time of a run that is not meant to be killed.
const SHORT: Duration = Duration::from_millis(200);

/// Returns the words of a child that stand for the URLs of two jobs: one that may run again, and
/// one that may not.
fn jobs(child: &mut Child) -> [String; 2] {
    [(); 2].map(|()| child.next().unwrap())
}

#[track_caller]
fn assert_lost(answer: &Answer) {
    assert_eq!(answer.state(), "lost");
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.problem(), "job-lost");
}

#[tokio::test]
async fn s03_s04_jobs_of_a_killed_process_are_run_again_or_lost_and_never_unknown() {
    let (_directory, path) = directory();
    let other = Node::new(&path, slow(SHORT)).await;
    other.work();
    let mut child = Child::start("run", &path);
    let [again, once] = jobs(&mut child);
    for url in [&again, &once] {
        assert_eq!(other.get(url).await.state(), "running");
    }
    child.kill();
    let killed = Instant::now();
    assert_eq!(other.ended(&again).await.body, "attempt 2");
    assert!(killed.elapsed() < RECOVERY, "{:?}", killed.elapsed());
    assert_lost(&other.ended(&once).await);
    // It stays so, and is the same result.
    sleep(LEASE).await;
    assert_lost(&other.get(&once).await);
    assert_eq!(other.get(&again).await.body, "attempt 2");
}

#[tokio::test]
async fn s05_a_process_killed_between_the_end_of_a_handler_and_its_record_leaves_no_half_result() {
    let (_directory, path) = directory();
    let mut child = Child::start("end", &path);
    let [again, once] = jobs(&mut child);
    assert_eq!(child.next().as_deref(), Some("ended"));
    child.kill();
    let other = Node::new(&path, slow(SHORT)).await;
    other.work();
    assert_eq!(other.get(&again).await.state(), "running");
    assert_eq!(other.ended(&again).await.body, "attempt 2");
    assert_lost(&other.ended(&once).await);
}

/// Returns the chunks of each run in the file, by its epoch.
fn chunks(path: &Path) -> Vec<(u32, usize)> {
    let file = Connection::open(path).unwrap();
    let sql = "SELECT epoch, count(*) FROM chunks GROUP BY epoch ORDER BY epoch";
    let mut counted = file.prepare(sql).unwrap();
    let rows = counted.query_map([], |row| Ok((row.get(0)?, row.get::<_, u32>(1)? as usize)));
    rows.unwrap().map(Result::unwrap).collect()
}

/// The clock of a process that is started some minutes later.
struct Later;

impl Clock for Later {
    fn now(&self) -> std::time::Instant {
        std::time::Instant::now()
    }

    fn system_time(&self) -> SystemTime {
        SystemTime::now() + Duration::from_secs(15 * 60)
    }
}

#[tokio::test]
async fn s06_of_a_process_killed_in_the_midst_of_a_result_nothing_is_served_and_nothing_stays() {
    let (_directory, path) = directory();
    let mut child = Child::start("record", &path);
    let url = child.next().unwrap();
    assert_eq!(child.next().as_deref(), Some("writing"));
    child.kill();
    assert_eq!(chunks(&path), [(1, 3)]);
    let again = routes(async || "y".repeat(RESULT));
    let store = |store: SqliteStoreBuilder| store.chunk_size(CHUNK);
    let other = Node::with(&path, again, |layer| layer, store).await;
    other.work();
    let answer = other.ended(&url).await;
    assert_eq!(answer.body, "y".repeat(RESULT));
    // The chunks of the first run are collected once no reader can need them.
    assert_eq!(chunks(&path), [(1, 3), (3, RESULT / CHUNK)]);
    let later = SqliteStore::builder().clock(Later).open(&path).await;
    later.unwrap().sweep(&SweepQuery::default()).await.unwrap();
    assert_eq!(chunks(&path), [(3, RESULT / CHUNK)]);
    assert_eq!(other.get(&url).await.body, "y".repeat(RESULT));
}

#[tokio::test]
async fn s32_a_job_that_kills_its_process_each_time_fails_after_its_attempts() {
    let (_directory, path) = directory();
    let front = Node::configured(&path, endless(), |layer| {
        layer.role(Role::Front).max_attempts(2)
    });
    let front = front.await;
    let url = front.submit("/again").await;
    for attempt in 1..=2 {
        let child = Child::start("die", &path);
        assert_eq!(child.rest(), [attempt.to_string()]);
    }
    let mut third = Child::start("die", &path);
    let failed = front.ended(&url).await;
    assert_eq!(failed.state(), "failed");
    assert_eq!(failed.problem(), "job-failed");
    third.signal("KILL");
    assert_eq!(third.next(), None, "it is given no third attempt");
}

/// Leaves jobs of a killed process behind, and starts a node.
async fn orphans(path: &Path) -> (Node, [String; 2]) {
    let mut child = Child::start("run", path);
    let jobs = jobs(&mut child);
    child.kill();
    let answer = async |job: JobContext| attempt(&job);
    (Node::new(path, routes(answer)).await, jobs)
}

/// Returns the states of jobs in the file, which no node is asked for.
fn states(path: &Path) -> Vec<String> {
    let file = Connection::open(path).unwrap();
    let sql = "SELECT state FROM overview ORDER BY state";
    let mut states = file.prepare(sql).unwrap();
    let rows = states.query_map([], |row| row.get(0));
    rows.unwrap().map(Result::unwrap).collect()
}

async fn until_states_are(path: &Path, expected: [&str; 2]) {
    let begun = Instant::now();
    while states(path) != expected {
        assert!(begun.elapsed() < RECOVERY, "{:?}", states(path));
        sleep(SHORT).await;
    }
}

#[tokio::test]
async fn s80_orphans_are_run_or_lost_though_nothing_is_submitted() {
    let (_directory, path) = directory();
    let (node, _) = orphans(&path).await;
    node.work();
    until_states_are(&path, ["done", "lost"]).await;
}

#[tokio::test]
async fn s80_orphans_are_queued_or_lost_though_one_poll_is_all_that_comes() {
    let (_directory, path) = directory();
    let (node, [again, once]) = orphans(&path).await;
    assert_eq!(node.get(&once).await.state(), "running");
    until_states_are(&path, ["lost", "queued"]).await;
    assert_eq!(node.get(&again).await.state(), "queued");
}

#[tokio::test]
async fn s80_orphans_are_queued_or_lost_though_nothing_comes() {
    let (_directory, path) = directory();
    let (node, _) = orphans(&path).await;
    let jobs = node.jobs.clone();
    tokio::spawn(async move { jobs.run().await });
    until_states_are(&path, ["lost", "queued"]).await;
}

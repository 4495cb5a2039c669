//! Processes that are killed.

use std::time::{Duration, Instant};

use http_polling::JobState;
use tower_async_job_core::{Created, Detail, IdempotencyKey, JobId, JobStore, NewJob, SweepQuery};

use crate::{CHUNK, CHUNKS, LEASE, child::Child, claim, offer, open, state};

#[tokio::test]
async fn s01_s02_what_was_acknowledged_outlives_a_kill_and_nothing_is_there_by_half() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..6 {
        let path = directory.path().join(format!("{round}.db"));
        let mut child = Child::start("create", &path);
        let mut acknowledged = vec![child.next().unwrap()];
        std::thread::sleep(Duration::from_millis(17 * round));
        acknowledged.extend(child.kill());

        let store = open(&path).await;
        for id in &acknowledged {
            let id = id.parse().unwrap();
            assert!(state(&store, &id).await.is_some(), "{id:?} is gone");
        }
        // At most one more was committed, and whether or not, its repeat makes one job.
        let next = acknowledged.len();
        let mut made = Vec::new();
        for _ in 0..2 {
            let key = IdempotencyKey::new(next.to_string(), [1; 32]).unwrap();
            let job = NewJob::new(JobId::random()).with_idempotency(key);
            made.push(match store.create(job).await.unwrap() {
                Created::New { lease, .. } => lease.id,
                Created::Existing(record) => record.id,
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(made[0], made[1]);
        let after = IdempotencyKey::new((next + 1).to_string(), [1; 32]).unwrap();
        assert_eq!(store.look_up(None, &after).await.unwrap(), None);
    }
}

#[tokio::test]
async fn s05_s06_of_a_process_that_is_killed_no_half_result_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..6 {
        let path = directory.path().join(format!("{round}.db"));
        let mut child = Child::start("finish", &path);
        let mut ids = vec![child.next().unwrap()];
        std::thread::sleep(Duration::from_millis(23 * round));
        ids.extend(child.kill());

        let store = open(&path).await;
        let last = ids.len() - 1;
        for (place, id) in ids.iter().enumerate() {
            let id = id.parse().unwrap();
            let record = store.read(&id, Detail::Full).await.unwrap().unwrap();
            let Some(result) = record.result else {
                assert_eq!((record.state, place), (JobState::Running, last));
                continue;
            };
            assert_eq!(record.state, JobState::Done);
            for index in 0..CHUNKS {
                let chunk = store.read_chunk(&result, index).await.unwrap();
                assert_eq!(chunk.unwrap(), vec![7; CHUNK]);
            }
        }
    }
}

#[tokio::test]
async fn s03_s04_jobs_of_a_killed_process_are_run_again_or_lost_after_its_leases() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let store = open(&path).await;
    let mut child = Child::start("run", &path);
    let [lost, again]: [JobId; 2] = [(); 2].map(|()| child.next().unwrap().parse().unwrap());
    // Its leases are renewed meanwhile.
    tokio::time::sleep(LEASE * 3 / 2).await;
    store.sweep(&SweepQuery::default()).await.unwrap();
    assert_eq!(state(&store, &lost).await, Some(JobState::Running));
    child.kill();
    let killed = Instant::now();
    let claimed = loop {
        if let Some(claim) = claim(&store, 9).await.pop() {
            break claim;
        }
        assert!(killed.elapsed() < LEASE * 20);
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((claimed.lease.id, claimed.attempt), (again, 2));
    store.sweep(&SweepQuery::default()).await.unwrap();
    assert_eq!(state(&store, &lost).await, Some(JobState::Lost));
}

#[tokio::test]
async fn workers_that_are_killed_and_replaced_under_load_lose_no_job() {
    const JOBS: usize = 300;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let store = open(&path).await;
    let mut worker = Child::start("work", &path);
    let mut ids = Vec::new();
    for number in 0..JOBS {
        ids.push(offer(&store).await);
        if number % 60 == 59 {
            worker.kill();
            worker = Child::start("work", &path);
        }
    }
    let began = Instant::now();
    for id in &ids {
        while state(&store, id).await != Some(JobState::Done) {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "{id:?} is not done"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    drop(worker);
}

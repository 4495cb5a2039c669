//! Processes with a store alone, which are killed.

use std::time::{Duration, Instant};

use http_polling::JobState;
use tower_async_job_core::{Created, Detail, JobId, SweepQuery};

use crate::{
    child::Child,
    jobs::{CHUNK, CHUNKS, claim, key, keyed, offer, open, state},
    nodes::{LEASE, Nodes},
    run::Ran,
};

pub(crate) async fn s01_s02_what_was_acknowledged_outlives_a_kill_and_nothing_is_there_by_half(
    data: &impl Nodes,
) -> Ran {
    for round in 0..6 {
        let data = &data.another().await?;
        let mut child = Child::start("create", data);
        let mut acknowledged = vec![child.word().unwrap()];
        std::thread::sleep(Duration::from_millis(17 * round));
        acknowledged.extend(child.kill());

        let store = open(data).await?;
        for id in &acknowledged {
            let id = id.parse().unwrap();
            assert!(state(&*store, &id).await.is_some(), "{id:?} is gone");
        }
        // At most one more was committed, and whether or not, its repeat makes one job.
        let next = acknowledged.len();
        let mut made = Vec::new();
        for _ in 0..2 {
            made.push(match store.create(keyed(&*store, next)).await.unwrap() {
                Created::New { lease, .. } => lease.id,
                Created::Existing(record) => record.id,
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(made[0], made[1]);
        assert_eq!(store.look_up(None, &key(next + 1)).await.unwrap(), None);
    }
    Ok(())
}

pub(crate) async fn s05_s06_of_a_process_that_is_killed_no_half_result_is_seen(
    data: &impl Nodes,
) -> Ran {
    for round in 0..6 {
        let data = &data.another().await?;
        let mut child = Child::start("finish", data);
        let mut ids = vec![child.word().unwrap()];
        std::thread::sleep(Duration::from_millis(23 * round));
        ids.extend(child.kill());

        let store = open(data).await?;
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
    Ok(())
}

pub(crate) async fn s03_s04_jobs_of_a_killed_process_are_run_again_or_lost_after_its_leases(
    data: &impl Nodes,
) -> Ran {
    let store = open(data).await?;
    let mut child = Child::start("renew", data);
    let [lost, again]: [JobId; 2] = [(); 2].map(|()| child.word().unwrap().parse().unwrap());
    // Its leases are renewed meanwhile.
    tokio::time::sleep(LEASE * 3 / 2).await;
    store.sweep(&SweepQuery::default()).await.unwrap();
    assert_eq!(state(&*store, &lost).await, Some(JobState::Running));
    child.kill();
    let killed = Instant::now();
    let claimed = loop {
        if let Some(claim) = claim(&*store, 9).await.pop() {
            break claim;
        }
        assert!(killed.elapsed() < LEASE * 20);
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((claimed.lease.id, claimed.attempt), (again, 2));
    store.sweep(&SweepQuery::default()).await.unwrap();
    assert_eq!(state(&*store, &lost).await, Some(JobState::Lost));
    Ok(())
}

pub(crate) async fn workers_that_are_killed_and_replaced_under_load_lose_no_job(
    data: &impl Nodes,
) -> Ran {
    const JOBS: usize = 300;
    let store = open(data).await?;
    let mut worker = Child::start("work", data);
    let mut ids = Vec::new();
    for number in 0..JOBS {
        ids.push(offer(&*store).await);
        if number % 60 == 59 {
            worker.kill();
            worker = Child::start("work", data);
        }
    }
    let began = Instant::now();
    for id in &ids {
        while state(&*store, id).await != Some(JobState::Done) {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "{id:?} is not done"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    drop(worker);
    Ok(())
}

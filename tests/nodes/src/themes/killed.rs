//! Processes that are killed, and the nodes that go on with their jobs.

use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use http_polling::JobState;
use tokio::time::{Instant, sleep};
use tower_async_job::{Builder, JobContext, Role};
use tower_async_job_core::{JobQuery, JobRecord};
use tower_async_job_testkit::NotRun;

use crate::{
    child::Child,
    jobs::open,
    node::{Answer, Node, RECOVERY, id_of, until_async},
    nodes::{LEASE, Nodes, Settings},
    roles::{
        layer::{CHUNK, RESULT},
        served::Served,
    },
    routes::{attempt, endless, routes, slow},
    run::Ran,
};

/// The time of a run that is not meant to be killed.
const SHORT: Duration = Duration::from_millis(200);

/// Returns the words of a child that stand for the URLs of two jobs: one that may run again, and
/// one that may not.
fn jobs(child: &mut Child) -> [String; 2] {
    [(); 2].map(|()| child.word().unwrap())
}

#[track_caller]
fn assert_lost(answer: &Answer) {
    assert_eq!(answer.state(), "lost");
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.problem(), "job-lost");
}

fn keyed() -> Request<Body> {
    let keyed = Request::post("/again").header("idempotency-key", "k");
    keyed.body(Body::empty()).unwrap()
}

async fn jobs_of(data: &impl Nodes) -> Result<Vec<JobRecord>, NotRun> {
    let page = open(data).await?.list(&JobQuery::default()).await;
    Ok(page.unwrap().jobs)
}

pub(crate) async fn s01_a_retry_of_what_a_killed_process_had_not_stored_makes_one_job(
    data: &impl Nodes,
) -> Ran {
    let mut process = Served::start(data, "");
    let outage = data.outage().await?;
    process.ask("POST /again idempotency-key:k");
    sleep(SHORT).await;
    process.kill();
    outage.await?;
    assert_eq!(jobs_of(data).await?, []);
    let node = Node::new(data, endless()).await?;
    let first = node.send(keyed()).await;
    let second = node.send(keyed()).await;
    assert_eq!(first.location(), second.location());
    assert_eq!(jobs_of(data).await?.len(), 1);
    Ok(())
}

pub(crate) async fn s02_a_retry_of_what_a_killed_process_had_stored_gets_its_job(
    data: &impl Nodes,
) -> Ran {
    let mut process = Served::start(data, "");
    process.ask("POST /again idempotency-key:k");
    let stored = async || !jobs_of(data).await.unwrap().is_empty();
    until_async("it is stored", stored).await;
    process.kill();
    let [job] = &jobs_of(data).await?[..] else {
        panic!("one job was stored")
    };
    let node = Node::new(data, slow(SHORT)).await?;
    let retried = node.send(keyed()).await;
    assert_eq!(id_of(retried.location()), job.id);
    node.work();
    assert_eq!(node.ended(retried.location()).await.body, "attempt 2");
    Ok(())
}

pub(crate) async fn s03_s04_jobs_of_a_killed_process_are_run_again_or_lost_and_never_unknown(
    data: &impl Nodes,
) -> Ran {
    let other = Node::new(data, slow(SHORT)).await?;
    other.work();
    let mut child = Child::start("run", data);
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
    Ok(())
}

pub(crate) async fn s05_a_process_killed_between_the_end_of_a_handler_and_its_record_leaves_no_half_result(
    data: &impl Nodes,
) -> Ran {
    let mut child = Child::start("end", data);
    let [again, once] = jobs(&mut child);
    assert_eq!(child.word().as_deref(), Some("ended"));
    child.kill();
    let other = Node::new(data, slow(SHORT)).await?;
    other.work();
    assert_eq!(other.get(&again).await.state(), "running");
    assert_eq!(other.ended(&again).await.body, "attempt 2");
    assert_lost(&other.ended(&once).await);
    Ok(())
}

/// The time after which nothing reads the chunks of a run that has ended.
const LATER: Duration = Duration::from_secs(15 * 60);

pub(crate) async fn s06_of_a_process_killed_in_the_midst_of_a_result_nothing_is_served_and_nothing_stays(
    data: &impl Nodes,
) -> Ran {
    let mut child = Child::start("record", data);
    let url = child.word().unwrap();
    assert_eq!(child.word().as_deref(), Some("writing"));
    child.kill();
    assert_eq!(data.chunks().await?, [(1, 3)]);
    let again = routes(async || "y".repeat(RESULT));
    let chunks = Settings {
        chunk_size: Some(CHUNK),
        ..Settings::default()
    };
    let other = Node::with(data, again, |layer| layer, chunks).await?;
    other.work();
    let answer = other.ended(&url).await;
    assert_eq!(answer.body, "y".repeat(RESULT));
    // The chunks of the first run are collected once no reader can need them.
    assert_eq!(data.chunks().await?, [(1, 3), (3, RESULT / CHUNK)]);
    data.later(LATER).await?;
    assert_eq!(data.chunks().await?, [(3, RESULT / CHUNK)]);
    assert_eq!(other.get(&url).await.body, "y".repeat(RESULT));
    Ok(())
}

pub(crate) async fn s32_a_job_that_kills_its_process_each_time_fails_after_its_attempts(
    data: &impl Nodes,
) -> Ran {
    let front = |layer: Builder| layer.role(Role::Front).max_attempts(2);
    let front = Node::configured(data, endless(), front).await?;
    let url = front.submit("/again").await;
    for attempt in 1..=2 {
        let child = Child::start("die", data);
        assert_eq!(child.rest(), [attempt.to_string()]);
    }
    let mut third = Child::start("die", data);
    let failed = front.ended(&url).await;
    assert_eq!(failed.state(), "failed");
    assert_eq!(failed.problem(), "job-failed");
    third.signal("KILL");
    assert_eq!(third.word(), None, "it is given no third attempt");
    Ok(())
}

/// Leaves jobs of a killed process behind, and starts a node.
async fn orphans(data: &impl Nodes) -> Result<(Node, [String; 2]), NotRun> {
    let mut child = Child::start("run", data);
    let jobs = jobs(&mut child);
    child.kill();
    let answer = async |job: JobContext| attempt(&job);
    Ok((Node::new(data, routes(answer)).await?, jobs))
}

/// Waits until two jobs are in these states, for which no node is asked.
async fn until_states_are(data: &impl Nodes, expected: [JobState; 2]) -> Ran {
    let begun = Instant::now();
    loop {
        let jobs = jobs_of(data).await?;
        let states: Vec<_> = jobs.iter().map(|job| job.state).collect();
        if states.len() == 2 && expected.iter().all(|state| states.contains(state)) {
            return Ok(());
        }
        assert!(begun.elapsed() < RECOVERY, "{states:?}");
        sleep(SHORT).await;
    }
}

pub(crate) async fn s80_orphans_are_run_or_lost_though_nothing_is_submitted(
    data: &impl Nodes,
) -> Ran {
    let (node, _) = orphans(data).await?;
    node.work();
    until_states_are(data, [JobState::Done, JobState::Lost]).await
}

pub(crate) async fn s80_orphans_are_queued_or_lost_though_one_poll_is_all_that_comes(
    data: &impl Nodes,
) -> Ran {
    let (node, [again, once]) = orphans(data).await?;
    assert_eq!(node.get(&once).await.state(), "running");
    until_states_are(data, [JobState::Lost, JobState::Queued]).await?;
    assert_eq!(node.get(&again).await.state(), "queued");
    Ok(())
}

pub(crate) async fn s80_orphans_are_queued_or_lost_though_nothing_comes(data: &impl Nodes) -> Ran {
    let (node, _) = orphans(data).await?;
    let jobs = node.jobs.clone();
    tokio::spawn(async move { jobs.run().await });
    until_states_are(data, [JobState::Lost, JobState::Queued]).await
}

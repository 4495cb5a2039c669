//! Nodes that share a file.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use axum::body::Body;
use http::{Method, Request, StatusCode};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tower_async_job::{JobContext, Role};
use tower_async_job_core::{
    Clock, JobId, JobStore, Lease, NewJob, Release, Released, ReplayedRequest, StoredRequest,
};
use tower_async_job_sqlite::{SqliteStore, SqliteStoreBuilder};

use crate::{
    Answer, LEASE, Node, RECOVERY, attempt, directory, endless, id_of, request, routes, slow,
    until, watched,
};

const SHORT: Duration = Duration::from_millis(200);

async fn store(path: &std::path::Path) -> SqliteStore {
    let builder = SqliteStore::builder().lease_duration(LEASE);
    builder.open(path).await.unwrap()
}

#[tokio::test]
async fn s08_a_job_claimed_again_beside_its_old_run_in_the_same_process_keeps_the_new_lease() {
    let (_directory, path) = directory();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let handler = async move |job: JobContext| {
        counted.fetch_add(1, Ordering::SeqCst);
        sleep(2 * LEASE).await;
        attempt(&job)
    };
    let grace = Duration::from_secs(60);
    let node = Node::configured(&path, routes(handler), |layer| {
        layer.cancellation_grace(grace)
    });
    let node = node.await;
    node.work();
    let url = node.submit("/again").await;
    // Another process takes the lease of the run, which goes on until its renewal is refused.
    let lease = Lease::new(id_of(&url), 1);
    let released = store(&path)
        .await
        .release(&[lease], Release::default())
        .await;
    assert_eq!(released.unwrap(), [Released::Queued]);
    assert_eq!(node.ended(&url).await.body, "attempt 2");
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn s09_nodes_that_look_for_ended_leases_together_run_each_job_once_more() {
    const JOBS: usize = 20;
    let (_directory, path) = directory();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let routes = routes(async move |job: JobContext| {
        counted.fetch_add(1, Ordering::SeqCst);
        attempt(&job)
    });
    let abandoned = store(&path).await;
    let mut urls = Vec::new();
    for _ in 0..JOBS {
        let mut request = ReplayedRequest::default();
        request.method = Method::POST;
        request.uri = "/again".parse().unwrap();
        let job = NewJob::new(JobId::random()).with_request(StoredRequest::encode(&request));
        urls.push(format!("/work/{}", job.id.encode()));
        abandoned.create(job).await.unwrap();
    }
    let [one, other] = [
        Node::new(&path, routes.clone()).await,
        Node::new(&path, routes).await,
    ];
    one.work();
    other.work();
    for url in urls {
        assert_eq!(one.ended(&url).await.body, "attempt 2");
    }
    assert_eq!(runs.load(Ordering::SeqCst), JOBS);
}

#[tokio::test]
async fn s11_a_job_that_ends_after_it_was_cancelled_elsewhere_stays_cancelled() {
    let (_directory, path) = directory();
    let ends = Arc::new(AtomicUsize::new(0));
    let counted = ends.clone();
    let handler = async move || {
        sleep(LEASE / 2).await;
        counted.fetch_add(1, Ordering::SeqCst);
        "too late"
    };
    let [one, other] = [
        Node::new(&path, routes(handler)).await,
        Node::new(&path, endless()).await,
    ];
    let url = one.submit("/once").await;
    other.send(request(Method::DELETE, &url)).await;
    // It has the grace of a cancellation.
    until("it ends", || ends.load(Ordering::SeqCst) == 1).await;
    sleep(SHORT).await;
    for node in [&one, &other] {
        assert_eq!(node.get(&url).await.state(), "cancelled");
    }
}

#[tokio::test]
async fn s13_a_cancel_on_another_node_is_stored_before_it_is_answered_and_ends_the_run() {
    let (_directory, path) = directory();
    let (routes, running) = watched();
    let one = Node::configured(&path, routes, |layer| {
        layer.cancellation_grace(Duration::ZERO)
    });
    let (one, other) = (one.await, Node::new(&path, endless()).await);
    let url = one.submit("/once").await;
    let answer = other.send(request(Method::DELETE, &url)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let cancelled = Instant::now();
    for node in [&one, &other] {
        assert_eq!(node.get(&url).await.state(), "cancelled");
    }
    until("it is dropped", || running.strong_count() == 0).await;
    assert!(cancelled.elapsed() < LEASE, "{:?}", cancelled.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s26_s27_all_of_ten_thousand_polls_held_elsewhere_are_answered_at_the_end() {
    let (_directory, path) = directory();
    let time = 2 * LEASE;
    // The crowd must not keep the lease from being renewed.
    let lease = |store: SqliteStoreBuilder| store.lease_duration(RECOVERY);
    let one = Node::with(&path, slow(time), |layer| layer, lease).await;
    let other = Arc::new(Node::new(&path, endless()).await);
    let url = one.submit("/once").await;
    let mut polls = JoinSet::new();
    for _ in 0..10_000 {
        let poll = Request::get(&url).header("prefer", "wait=25");
        let (other, poll) = (other.clone(), poll.body(Body::empty()).unwrap());
        polls.spawn(async move { other.send(poll).await });
    }
    for answer in polls.join_all().await {
        assert_eq!(answer.body, "attempt 1");
    }
}

#[tokio::test]
async fn a_front_learns_from_the_jobs_that_workers_of_its_file_run() {
    let (_directory, path) = directory();
    let time = Duration::from_millis(600);
    let front = Node::configured(&path, endless(), |layer| layer.role(Role::Front)).await;
    let worker = Node::configured(&path, slow(time), |layer| layer.role(Role::Worker)).await;
    worker.work();
    let submission = || request(Method::POST, "/again");
    let delay = |answer: &Answer| {
        let delay = answer.header("retry-after-ms").parse().unwrap();
        Duration::from_millis(delay)
    };
    let before = delay(&front.send(submission()).await);
    let jobs: Vec<_> = (0..20).map(|_| front.submit("/again")).collect();
    for url in jobs {
        let url = url.await;
        assert_eq!(front.ended(&url).await.body, "attempt 1");
    }
    let after = delay(&front.send(submission()).await);
    assert!(after >= time && after < 2 * time, "{after:?}");
    assert_ne!(before, after);
}

/// The clock of a process that is half an hour ahead.
struct Ahead;

impl Clock for Ahead {
    fn now(&self) -> std::time::Instant {
        std::time::Instant::now()
    }

    fn system_time(&self) -> SystemTime {
        SystemTime::now() + Duration::from_secs(1800)
    }
}

#[tokio::test]
async fn s14_s15_a_node_whose_day_is_ahead_takes_no_job_of_another() {
    let (_directory, path) = directory();
    let one = Node::new(&path, slow(3 * LEASE)).await;
    let [again, once] = [one.submit("/again").await, one.submit("/once").await];
    sleep(LEASE).await;
    let ahead = |store: SqliteStoreBuilder| store.clock(Ahead);
    let other = Node::with(&path, endless(), |layer| layer, ahead).await;
    other.work();
    for url in [again, once] {
        assert_eq!(other.ended(&url).await.body, "attempt 1");
    }
}

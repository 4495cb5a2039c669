//! The jobs that a worker takes, and how many.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use crate::{
    App, Node, attempted, shared,
    support::{
        Answer, Body, SECOND, ask,
        faulty::{Fault, FaultyStore, Op},
        get, path_of, post, send, settle, with,
    },
};
use http_polling::JobState;
use tokio::time::sleep;
use tower_async_job::{Role, store::Principal};

/// Returns a handler that counts those that run at once.
fn counted(seconds: u32) -> (App, Arc<AtomicUsize>) {
    let running = Arc::new(AtomicUsize::new(0));
    let count = running.clone();
    let app = App::new(move |request| {
        let count = count.clone();
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            sleep(seconds * SECOND).await;
            count.fetch_sub(1, Ordering::SeqCst);
            attempted(&request)
        }
    });
    (app, running)
}

/// Offers jobs to workers.
async fn offer(store: &Arc<FaultyStore>, jobs: usize) -> Vec<Answer> {
    let front = Node::new(store, |builder| {
        builder.role(Role::Front).principal(|request| {
            let user = request.headers.get("x-user")?;
            Some(Principal::new(user.to_str().ok()?))
        })
    });
    let unused = App::new(|_| std::future::pending());
    let mut accepted = Vec::new();
    for job in 0..jobs {
        let user = ["ada", "bob"][job % 2];
        let request = with(post(&format!("/{user}")), "x-user", user);
        accepted.push(send(&front.service(&unused), request).await.pending());
    }
    accepted
}

#[tokio::test(start_paused = true)]
async fn worker_runs_no_more_at_once_than_its_concurrency() {
    let store = shared();
    offer(&store, 10).await;
    let node = Node::new(&store, |builder| builder);
    let (app, running) = counted(10);
    tokio::spawn(node.layer.worker(app).concurrency(3).run());
    for round in 0..3 {
        sleep(5 * SECOND).await;
        assert_eq!(running.load(Ordering::SeqCst), 3, "round {round}");
        assert_eq!(store.jobs_in(JobState::Queued).await, 10 - 3 * (round + 1));
        sleep(5 * SECOND).await;
        // Places are taken again as soon as they are free.
        settle().await;
    }
    sleep(11 * SECOND).await;
    assert_eq!(store.jobs_in(JobState::Done).await, 10);
}

#[tokio::test(start_paused = true)]
async fn worker_claims_only_what_has_a_free_place_among_the_running() {
    let store = shared();
    offer(&store, 4).await;
    let node = Node::new(&store, |builder| builder.limits(2, 10));
    let (app, running) = counted(10);
    let local = send(&node.service(&app), post("/report")).await.pending();
    assert_eq!(local.header("job-status"), "running");
    node.work(&app);
    sleep(5 * SECOND).await;
    assert_eq!(running.load(Ordering::SeqCst), 2);
    assert_eq!(store.jobs_in(JobState::Queued).await, 3);
    sleep(30 * SECOND).await;
    assert_eq!(store.jobs_in(JobState::Done).await, 5);
}

#[tokio::test(start_paused = true)]
async fn principal_over_its_limit_holds_up_no_other() {
    let store = shared();
    offer(&store, 6).await;
    let node = Node::new(&store, |builder| builder.limits_per_principal(1, 10));
    let (app, running) = counted(5);
    tokio::spawn(node.layer.worker(app).concurrency(2).run());
    sleep(4 * SECOND).await;
    assert_eq!(running.load(Ordering::SeqCst), 2, "one of each");
    sleep(26 * SECOND).await;
    assert_eq!(store.jobs_in(JobState::Done).await, 6);
}

#[tokio::test(start_paused = true)]
async fn s38_backlog_of_a_principal_over_its_limit_is_claimed_seldom() {
    const JOBS: usize = 500;
    let store = shared();
    let jobs = offer(&store, JOBS).await;
    let jobs: Vec<_> = jobs.iter().map(|job| path_of(job.location())).collect();
    let node = Node::new(&store, |builder| builder.limits_per_principal(1, 10));
    let (app, running) = counted(20);
    node.work(&app);
    sleep(15 * SECOND).await;
    assert_eq!(running.load(Ordering::SeqCst), 2, "one of each");
    // A claim and a release are an epoch each.
    let epochs = async || {
        let mut epochs = 0;
        for job in &jobs {
            epochs += crate::record(&store, job).await.epoch;
        }
        epochs
    };
    let before = epochs().await;
    sleep(4 * SECOND).await;
    let claims = (epochs().await - before) / 2;
    assert!((20..=120).contains(&claims), "{claims}");
    // The next ones run soon.
    sleep(3 * SECOND).await;
    assert_eq!(running.load(Ordering::SeqCst), 2);
    assert_eq!(store.jobs_in(JobState::Done).await, 2);
}

#[tokio::test(start_paused = true)]
async fn worker_of_some_routes_leaves_the_others() {
    let store = shared();
    let jobs = offer(&store, 2).await;
    let node = Node::new(&store, |builder| builder);
    let worker = node.layer.worker(App::slow(SECOND));
    tokio::spawn(worker.routes(["POST /bob"]).run());
    sleep(5 * SECOND).await;
    let states = async |job: usize| crate::state(&store, path_of(jobs[job].location())).await;
    assert_eq!(states(0).await, JobState::Queued);
    assert_eq!(states(1).await, JobState::Done);
}

#[tokio::test(start_paused = true)]
async fn s17_worker_survives_a_store_that_fails_or_panics() {
    let store = shared();
    store.plan(Op::Claim, Fault::Unavailable, 2);
    store.plan(Op::Claim, Fault::Panics, 2);
    store.plan(Op::Claim, Fault::Hangs, 1);
    let node = Node::new(&store, |builder| builder);
    node.work(&App::slow(SECOND));
    offer(&store, 1).await;
    sleep(15 * SECOND).await;
    assert_eq!(store.jobs_in(JobState::Done).await, 1);
}

#[tokio::test(start_paused = true)]
async fn idle_worker_asks_about_once_a_second() {
    let store = shared();
    let node = Node::new(&store, |builder| builder);
    node.work(&App::slow(SECOND));
    sleep(100 * SECOND).await;
    let claims = store.calls(Op::Claim);
    assert!((99..=202).contains(&claims), "{claims}");
}

#[tokio::test(start_paused = true)]
async fn panic_of_a_worker_s_service_fails_one_job() {
    let store = shared();
    let jobs = offer(&store, 3).await;
    let node = Node::new(&store, |builder| builder);
    let first = AtomicBool::new(true);
    node.work(&App::new(move |request| {
        assert!(!first.swap(false, Ordering::SeqCst), "the first panics");
        async move { attempted(&request) }
    }));
    sleep(5 * SECOND).await;
    assert_eq!(store.jobs_in(JobState::Failed).await, 1);
    assert_eq!(store.jobs_in(JobState::Done).await, 2);
    let owner = with(get(path_of(jobs[0].location())), "x-user", "ada");
    let failed = ask(&Node::new(&store, |builder| builder).layer, owner).await;
    assert_eq!(failed.header("job-status"), "unknown", "no principal here");
}

/// A service that is never ready.
#[derive(Clone)]
struct Unready;

impl<T> tower::Service<T> for Unready {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = std::future::Pending<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Pending
    }

    fn call(&mut self, _: T) -> Self::Future {
        unreachable!("it is not ready")
    }
}

#[tokio::test(start_paused = true)]
async fn worker_whose_service_is_never_ready_ends_its_jobs_at_their_deadline() {
    let store = shared();
    let front = Node::new(&store, |builder| {
        builder.role(Role::Front).job_deadline(20 * SECOND)
    });
    for _ in 0..2 {
        front.submit(&App::slow(SECOND)).await;
    }
    let worker = front.layer.worker(Unready).concurrency(1);
    tokio::spawn(worker.run());
    sleep(10 * SECOND).await;
    for state in [JobState::Running, JobState::Queued] {
        assert_eq!(store.jobs_in(state).await, 1);
    }
    sleep(15 * SECOND).await;
    assert_eq!(store.jobs_in(JobState::TimedOut).await, 2);
}

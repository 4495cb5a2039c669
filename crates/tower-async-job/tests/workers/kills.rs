//! Nodes that are killed, stopped, or cut off while jobs run.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    App, LEASE, Node, RECOVERY, attempted, record, shared, state,
    support::{
        Lifeline, SECOND, ask,
        faulty::{FaultyStore, Op},
        get, id_of, memory, request, settle,
    },
};
use http::{Method, StatusCode};
use http_polling::JobState;
use tokio::time::{Instant, sleep};
use tower_async_job::{
    CancelReason, JobContext,
    store::{JobId, JobStore, NewJob, ReplayedRequest, StoredRequest},
};

#[tokio::test(start_paused = true)]
async fn s03_job_of_a_killed_node_is_run_again_and_one_result_is_seen() {
    let store = shared();
    let [one, other] = [(), ()].map(|()| Node::new(&store, |builder| builder));
    let app = App::slow(20 * SECOND);
    other.work(&app);
    let job = one.submit(&app).await;
    sleep(5 * SECOND).await;
    one.kill();
    let killed = Instant::now();
    let answer = loop {
        let answer = ask(&other.layer, get(&job)).await;
        if answer.header("job-status") == "done" {
            break answer;
        }
        answer.pending();
        sleep(SECOND / 4).await;
    };
    assert!(
        killed.elapsed() <= RECOVERY + 20 * SECOND,
        "{:?}",
        killed.elapsed()
    );
    assert_eq!(answer.body, "attempt 2");
    // The first run has come to its end too, and changes nothing.
    sleep(60 * SECOND).await;
    assert_eq!(ask(&other.layer, get(&job)).await.body, "attempt 2");
}

#[tokio::test(start_paused = true)]
async fn s04_job_that_cannot_be_replayed_is_lost_and_never_run_again() {
    let store = shared();
    let [one, other] = [(), ()].map(|()| Node::configured(&store, |builder| builder));
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let app = App::new(move |request| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            sleep(600 * SECOND).await;
            attempted(&request)
        }
    });
    other.work(&app);
    let job = one.submit(&app).await;
    one.kill();
    sleep(RECOVERY).await;
    let lost = ask(&other.layer, get(&job)).await;
    assert_eq!(lost.header("job-status"), "lost");
    assert!(
        lost.json()["type"]
            .as_str()
            .expect("text")
            .ends_with("job-lost")
    );
    sleep(600 * SECOND).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn s05_node_killed_between_the_end_of_the_handler_and_its_record_leaves_no_half_result() {
    let store = shared();
    let [one, other] = [(), ()].map(|()| Node::new(&store, |builder| builder));
    let kill = one.killer();
    let app = App::new(move |request| {
        let kill = kill.clone();
        async move {
            sleep(5 * SECOND).await;
            kill();
            attempted(&request)
        }
    });
    other.work(&app);
    let job = one.submit(&app).await;
    sleep(6 * SECOND).await;
    assert_eq!(state(&store, &job).await, JobState::Running);
    sleep(RECOVERY + 5 * SECOND).await;
    assert_eq!(ask(&other.layer, get(&job)).await.body, "attempt 2");
}

/// Returns a handler that waits for its cancellation and notes the reason.
fn waiting() -> (App, Arc<Mutex<Vec<CancelReason>>>) {
    let reasons = Arc::<Mutex<Vec<_>>>::default();
    let noted = reasons.clone();
    let app = App::new(move |request| {
        let noted = noted.clone();
        async move {
            let job = JobContext::of(&request);
            job.cancelled().await;
            noted
                .lock()
                .expect("unpoisoned")
                .extend(job.cancel_reason());
            std::future::pending().await
        }
    });
    (app, reasons)
}

#[tokio::test(start_paused = true)]
async fn s13_cancel_wakes_its_worker_at_once() {
    let store = shared();
    let [front, worker] = [(), ()].map(|()| Node::new(&store, |builder| builder));
    let (app, reasons) = waiting();
    // By the node that accepted it, and by a worker that runs it again.
    for runs_again in [false, true] {
        let job = front.submit(&app).await;
        let asked = if runs_again {
            front.layer.shutdown(SECOND).await;
            worker.work(&app);
            sleep(2 * SECOND).await;
            &front
        } else {
            &worker
        };
        assert_eq!(state(&store, &job).await, JobState::Running);
        reasons.lock().expect("unpoisoned").clear();
        let cancelled = ask(&asked.layer, request(Method::DELETE, &job)).await;
        assert_eq!(cancelled.status, StatusCode::ACCEPTED);
        settle().await;
        let reasons = reasons.lock().expect("unpoisoned").clone();
        assert_eq!(reasons, [CancelReason::Requested], "{runs_again}");
    }
}

#[tokio::test(start_paused = true)]
async fn s13_cancel_whose_wake_up_is_lost_reaches_its_worker_with_the_next_renewal() {
    let store = shared();
    let [front, worker] = [(), ()].map(|()| Node::new(&store, |builder| builder));
    worker
        .connection
        .get_ref()
        .deaf
        .store(true, Ordering::SeqCst);
    let (app, reasons) = waiting();
    let job = worker.submit(&app).await;
    ask(&front.layer, request(Method::DELETE, &job)).await;
    settle().await;
    assert_eq!(reasons.lock().expect("unpoisoned").len(), 0);
    sleep(LEASE / 3 + SECOND / 10).await;
    let reasons = reasons.lock().expect("unpoisoned").clone();
    assert_eq!(reasons, [CancelReason::Requested]);
}

/// Returns a store, and the seconds by which its clock is ahead.
fn with_clock() -> (Arc<FaultyStore>, Arc<AtomicUsize>) {
    let ahead = Arc::new(AtomicUsize::new(0));
    let (clock, origin) = (ahead.clone(), Instant::now());
    let store = memory().lease_duration(LEASE).clock(move || {
        let ahead = clock.load(Ordering::SeqCst) as u32 * SECOND;
        (origin + ahead + origin.elapsed()).into_std()
    });
    (Arc::new(FaultyStore::shared_over(store.build())), ahead)
}

#[tokio::test(start_paused = true)]
async fn s15_worker_takes_no_job_of_another_node_when_the_store_s_clock_jumps() {
    let (store, ahead) = with_clock();
    let [node, other] = [(); 2].map(|()| Node::new(&store, |builder| builder));
    other.work(&App::slow(SECOND));
    let job = node.submit(&App::slow(20 * SECOND)).await;
    sleep(5 * SECOND).await;
    ahead.store(40, Ordering::SeqCst);
    sleep(20 * SECOND).await;
    assert_eq!(ask(&node.layer, get(&job)).await.body, "attempt 1");
}

#[tokio::test(start_paused = true)]
async fn s15_worker_claims_nothing_for_a_lease_after_a_jump_of_the_store_s_clock() {
    let (store, ahead) = with_clock();
    let node = Node::new(&store, |builder| builder);
    node.work(&App::slow(SECOND));
    sleep(5 * SECOND).await;
    ahead.store(2, Ordering::SeqCst);
    // The next claim shows it.
    sleep(2 * SECOND).await;
    let claims = store.calls(Op::Claim);
    sleep(LEASE - 3 * SECOND).await;
    assert_eq!(store.calls(Op::Claim), claims);
    sleep(5 * SECOND).await;
    assert!(store.calls(Op::Claim) > claims);
}

#[tokio::test(start_paused = true)]
async fn s32_job_that_kills_its_node_each_time_fails_after_its_attempts() {
    let store = shared();
    let nodes = [(); 4].map(|()| Node::new(&store, |builder| builder));
    let runs = Arc::new(AtomicUsize::new(0));
    let apps = nodes.each_ref().map(|node| {
        let (kill, runs) = (node.killer(), runs.clone());
        App::new(move |_| {
            kill();
            runs.fetch_add(1, Ordering::SeqCst);
            std::future::pending()
        })
    });
    let job = nodes[0].submit(&App::new(|_| std::future::pending())).await;
    nodes[0].kill();
    for (node, app) in nodes.iter().zip(&apps).skip(1) {
        node.work(app);
    }
    sleep(4 * RECOVERY).await;
    assert_eq!(runs.load(Ordering::SeqCst), 2, "beside the first");
    let failed = ask(&nodes[0].layer, get(&job)).await;
    assert_eq!(
        failed.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "it is killed"
    );
    let record = record(&store, &job).await;
    assert_eq!((record.state, record.attempt), (JobState::Failed, 3));
}

#[tokio::test(start_paused = true)]
async fn s39_stopped_node_claims_nothing_and_hands_its_jobs_to_another_in_one_call() {
    let store = shared();
    let [one, other] = [(), ()].map(|()| Node::new(&store, |builder| builder));
    let app = App::slow(20 * SECOND);
    one.work(&app);
    let mut jobs = Vec::new();
    for _ in 0..10 {
        jobs.push(one.submit(&app).await);
    }
    sleep(SECOND).await;
    other.work(&app);
    let begun = Instant::now();
    one.layer.shutdown(5 * SECOND).await;
    assert!(begun.elapsed() <= 6 * SECOND);
    assert_eq!(store.calls(Op::Release), 1);
    sleep(22 * SECOND).await;
    for job in jobs {
        let answer = ask(&other.layer, get(&job)).await;
        assert_eq!(answer.body, "attempt 1", "a deploy uses no attempt up");
        assert!(record(&store, &job).await.epoch > 1);
    }
}

#[tokio::test(start_paused = true)]
async fn s40_second_stop_hands_the_jobs_over_at_once() {
    let store = shared();
    let [one, other] = [(), ()].map(|()| Node::new(&store, |builder| builder));
    let app = App::slow(20 * SECOND);
    other.work(&app);
    let job = one.submit(&app).await;
    let layer = one.layer.clone();
    let stopping = tokio::spawn(async move { layer.shutdown(600 * SECOND).await });
    sleep(SECOND).await;
    one.layer.shutdown(Duration::ZERO).await;
    stopping.await.expect("no panic");
    sleep(22 * SECOND).await;
    assert_eq!(ask(&other.layer, get(&job)).await.body, "attempt 1");
}

/// Leaves a job of an earlier process behind.
async fn orphan(store: &FaultyStore, replayable: bool) -> String {
    let mut job = NewJob::new(JobId::random());
    if replayable {
        job.request = Some(StoredRequest::encode(&ReplayedRequest::default()));
    }
    let url = format!("/work/{}", job.id.encode());
    assert_eq!(id_of(&url), job.id);
    store.now().create(job).await.expect("room");
    url
}

#[tokio::test(start_paused = true)]
async fn s80_orphans_are_run_or_lost_though_nothing_is_submitted() {
    let store = shared();
    let (replayable, other) = (orphan(&store, true).await, orphan(&store, false).await);
    let node = Node::new(&store, |builder| builder);
    node.work(&App::slow(SECOND));
    sleep(RECOVERY + SECOND).await;
    assert_eq!(state(&store, &replayable).await, JobState::Done);
    assert_eq!(state(&store, &other).await, JobState::Lost);
}

#[tokio::test(start_paused = true)]
async fn handler_is_dropped_when_its_job_is_claimed_by_another() {
    let store = shared();
    let [one, other] = [(), ()].map(|()| Node::new(&store, |builder| builder));
    let (token, lifeline) = Lifeline::new();
    let holder = Arc::new(Mutex::new(Some(token)));
    let app = App::new(move |request| {
        let token = holder.lock().expect("unpoisoned").take();
        async move {
            sleep(100 * SECOND).await;
            drop(token);
            attempted(&request)
        }
    });
    one.submit(&app).await;
    one.kill();
    other.work(&app);
    sleep(LEASE - SECOND).await;
    assert!(!lifeline.is_alive(), "it runs on after its lease");
}

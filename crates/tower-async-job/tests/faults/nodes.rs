//! Nodes that share a store.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    assert_problem, faulty, submit,
    support::{
        Body, SECOND, ask, eager,
        faulty::{Fault, FaultyStore, Op},
        get, handler, id_of, memory, path_of, post, request, send, settle, slow, watched, with,
        wrap,
    },
};
use http::{Method, Response, StatusCode};
use http_polling::JobState;
use tokio::time::{Instant, sleep};
use tower_async_job::{
    AsyncJobLayer, CancelReason, JobContext, OnStoreFailure,
    store::{Detail, JobId, JobStore, NewJob, ReplayedRequest, StoredRequest, Subscription},
};
use tower_async_job_testkit::{Interpose, Interposed};

const LEASE: Duration = Duration::from_secs(30);

fn shared() -> Arc<FaultyStore> {
    Arc::new(FaultyStore::shared(LEASE))
}

/// Leaves two jobs behind, one of which may be re-run.
async fn orphans(store: &FaultyStore) -> [JobId; 2] {
    let request = StoredRequest::encode(&ReplayedRequest::default());
    let replayable = NewJob::new(JobId::random()).with_request(request);
    let other = NewJob::new(JobId::random());
    let ids = [replayable.id, other.id];
    for job in [replayable, other] {
        store.now().create(job).await.expect("room");
    }
    ids
}

async fn states<const N: usize>(store: &FaultyStore, ids: [JobId; N]) -> [JobState; N] {
    let mut states = [JobState::Unknown; N];
    for (state, id) in states.iter_mut().zip(ids) {
        let read = store.now().read(&id, Detail::Status).await;
        *state = read.expect("memory").expect("there").state;
    }
    states
}

/// Asserts that orphans are queued and lost once their leases are over and swept.
async fn assert_swept(store: &FaultyStore, ids: [JobId; 2]) {
    sleep(LEASE + LEASE / 3 + SECOND).await;
    assert_eq!(states(store, ids).await, [JobState::Queued, JobState::Lost]);
}

#[tokio::test(start_paused = true)]
async fn s80_orphans_are_queued_or_lost_though_only_polls_come() {
    let store = shared();
    let ids = orphans(&store).await;
    let layer = eager(faulty(&store));
    let url = format!("/work/{}", ids[1].encode());
    ask(&layer, get(&url)).await.pending();
    assert_swept(&store, ids).await;
    let lost = ask(&layer, get(&url)).await;
    assert_problem(&lost, StatusCode::INTERNAL_SERVER_ERROR, "lost", "job-lost");
    // Others are created later.
    sleep(3600 * SECOND).await;
    let ids = orphans(&store).await;
    assert_swept(&store, ids).await;
}

#[tokio::test(start_paused = true)]
async fn s80_orphans_are_queued_or_lost_though_nothing_comes() {
    let store = shared();
    let ids = orphans(&store).await;
    let layer = eager(faulty(&store));
    let running = layer.clone();
    let running = tokio::spawn(async move { running.run().await });
    assert_swept(&store, ids).await;
    assert!(!running.is_finished());
    layer.shutdown(SECOND).await;
    running.await.expect("no panic");
    let sweeps = store.calls(Op::Sweep);
    sleep(600 * SECOND).await;
    ask(&layer, get("/work/unknown")).await;
    sleep(600 * SECOND).await;
    assert!(store.calls(Op::Sweep) <= sweeps + 1, "after the shutdown");
}

#[tokio::test(start_paused = true)]
async fn s80_orphans_of_an_earlier_process_are_queued_or_lost_though_only_polls_come() {
    // Only one process at a time uses the store.
    let store = Arc::new(FaultyStore::new(memory().lease_duration(LEASE).build()));
    let ids = orphans(&store).await;
    let layer = eager(faulty(&store));
    let url = format!("/work/{}", ids[1].encode());
    ask(&layer, get(&url)).await.pending();
    assert_swept(&store, ids).await;
    let lost = ask(&layer, get(&url)).await;
    assert_problem(&lost, StatusCode::INTERNAL_SERVER_ERROR, "lost", "job-lost");
    // Once nothing is left, no task is.
    sleep(4 * 3600 * SECOND).await;
    let sweeps = store.calls(Op::Sweep);
    ask(&layer, get(&url)).await;
    sleep(3600 * SECOND).await;
    assert_eq!(store.calls(Op::Sweep), sweeps);
}

#[tokio::test(start_paused = true)]
async fn s80_housekeeping_survives_a_store_that_panics() {
    let store = shared();
    store.plan(Op::Sweep, Fault::Panics, 2);
    let ids = orphans(&store).await;
    let layer = eager(faulty(&store));
    tokio::spawn(async move { layer.run().await });
    assert_swept(&store, ids).await;
}

#[tokio::test(start_paused = true)]
async fn s13_job_cancelled_on_another_node_is_notified_within_one_renewal() {
    let store = Arc::new(FaultyStore::shared(30 * SECOND));
    let [one, other] = [(), ()].map(|()| eager(faulty(&store).cancellation_grace(SECOND)));
    let (handler, lifeline, _) = watched(600 * SECOND, "late");
    let location = submit(&one, handler).await;
    let cancelled = ask(&other, request(Method::DELETE, &location)).await;
    assert_eq!(cancelled.status, StatusCode::ACCEPTED);
    let polled = ask(&other, get(&location)).await;
    assert_eq!(polled.header("job-status"), "cancelled");
    assert!(lifeline.is_alive());
    sleep(12 * SECOND).await;
    assert!(!lifeline.is_alive());
}

#[tokio::test(start_paused = true)]
async fn record_that_the_store_has_lost_is_stored_anew_while_its_job_runs() {
    let store = shared();
    let [one, other] = [(), ()].map(|()| eager(faulty(&store)));
    let location = submit(&one, slow(100 * SECOND, "done")).await;
    sleep(SECOND).await;
    store.fail_over();
    assert_eq!(
        ask(&other, get(&location)).await.status,
        StatusCode::NOT_FOUND
    );
    sleep(LEASE / 3 + SECOND).await;
    ask(&other, get(&location)).await.pending();
    let id = id_of(&location);
    let record = store.now().read(&id, Detail::Status).await;
    assert_eq!(record.expect("memory").expect("there").epoch, 2);
    sleep(100 * SECOND).await;
    assert_eq!(ask(&other, get(&location)).await.body, "done");
}

#[tokio::test(start_paused = true)]
async fn record_that_the_store_has_lost_is_stored_anew_with_the_end() {
    let store = shared();
    let layer = eager(faulty(&store));
    let location = submit(&layer, slow(5 * SECOND, "done")).await;
    store.fail_over();
    sleep(6 * SECOND).await;
    assert_eq!(ask(&layer, get(&location)).await.body, "done");
}

#[tokio::test(start_paused = true)]
async fn report_to_a_store_that_has_lost_the_record_aborts_nothing() {
    let store = shared();
    store.plan(Op::Create, Fault::None, 1);
    store.plan(Op::Create, Fault::Unacknowledged, 1);
    let layer = eager(faulty(&store));
    let handler = handler(|request| async move {
        sleep(SECOND).await;
        JobContext::of(&request).message("half way");
        sleep(60 * SECOND).await;
        Response::new(Body::from("done"))
    });
    let location = submit(&layer, handler).await;
    store.fail_over();
    sleep(8 * SECOND).await;
    let status = ask(&layer, get(&format!("{}/status", path_of(&location)))).await;
    assert_eq!(
        status.json()["progress"]["message"],
        "half way",
        "{status:?}"
    );
    sleep(60 * SECOND).await;
    assert_eq!(ask(&layer, get(&location)).await.body, "done");
}

#[tokio::test(start_paused = true)]
async fn removed_job_is_not_stored_anew() {
    let store = shared();
    let layer = eager(faulty(&store).cancellation_grace(600 * SECOND));
    let (handler, lifeline, _) = watched(600 * SECOND, "late");
    let location = submit(&layer, handler).await;
    let id = id_of(&location);
    store.now().cancel(&id).await.expect("memory");
    assert!(store.now().remove(&id).await.expect("memory"));
    sleep(12 * SECOND).await;
    assert!(!lifeline.is_alive());
    assert_eq!(store.jobs().await, 0);
}

#[tokio::test(start_paused = true)]
async fn s39_shutdown_hands_all_jobs_back_in_one_call() {
    let store = shared();
    let layer = eager(faulty(&store));
    for _ in 0..20 {
        submit(&layer, slow(600 * SECOND, "late")).await;
    }
    store.plan(Op::Release, Fault::Unavailable, 3);
    let begun = Instant::now();
    layer.shutdown(SECOND).await;
    assert!(begun.elapsed() < 3 * SECOND);
    assert_eq!(store.calls(Op::Release), 4);
    assert_eq!(store.jobs_in(JobState::Lost).await, 20);
}

#[tokio::test(start_paused = true)]
async fn s39_store_that_panics_at_a_release_does_not_hold_the_shutdown_up() {
    let store = shared();
    let layer = eager(faulty(&store));
    submit(&layer, slow(600 * SECOND, "late")).await;
    store.plan(Op::Release, Fault::Panics, 1);
    let begun = Instant::now();
    layer.shutdown(SECOND).await;
    assert_eq!(begun.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn s39_shutdown_waits_for_a_hanging_store_no_longer_than_a_call_takes() {
    let store = shared();
    let layer = eager(faulty(&store));
    store.plan(Op::Create, Fault::Hangs, 100);
    let service = wrap(&layer, slow(600 * SECOND, "late"));
    let call = tokio::spawn(async move { send(&service, post("/report")).await });
    settle().await;
    let begun = Instant::now();
    layer.shutdown(SECOND).await;
    assert!(begun.elapsed() <= 5 * SECOND, "{:?}", begun.elapsed());
    call.await.expect("answered");
}

#[tokio::test(start_paused = true)]
async fn s17_poll_of_a_store_that_hangs_is_answered() {
    let store = shared();
    store.plan(Op::Read, Fault::Hangs, 1);
    let layer = eager(faulty(&store));
    let begun = Instant::now();
    let url = format!("/work/{}", JobId::random().encode());
    let answer = ask(&layer, get(&url)).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(begun.elapsed(), 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn s18_keyed_submission_to_a_store_that_hangs_is_refused() {
    let store = shared();
    store.plan(Op::Create, Fault::Hangs, 100);
    let layer = eager(faulty(&store).on_store_failure(OnStoreFailure::Refuse));
    let service = wrap(&layer, slow(SECOND, "done"));
    let begun = Instant::now();
    let refused = send(&service, with(post("/report"), "idempotency-key", "k")).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(begun.elapsed() <= LEASE / 3 + 5 * SECOND);
}

/// Runs a job until it is cancelled, and returns the reason given to its handler.
async fn reason(layer: &AsyncJobLayer, act: impl FnOnce(JobId)) -> Option<CancelReason> {
    let context = Arc::<Mutex<Option<JobContext>>>::default();
    let noted = context.clone();
    let handler = handler(move |request| {
        *noted.lock().expect("unpoisoned") = Some(JobContext::of(&request));
        std::future::pending()
    });
    let location = submit(layer, handler).await;
    act(id_of(&location));
    let context = context.lock().expect("unpoisoned").take().expect("called");
    context.cancelled().await;
    context.cancel_reason()
}

#[tokio::test(start_paused = true)]
async fn handler_learns_why_it_is_cancelled() {
    let store = shared();
    let layer = || eager(faulty(&store).job_deadline(300 * SECOND));
    let passed = reason(&layer(), |_| {}).await;
    assert_eq!(passed, Some(CancelReason::DeadlinePassed));
    let cancel = |id| {
        let store = store.clone();
        tokio::spawn(async move { store.now().cancel(&id).await });
    };
    assert_eq!(
        reason(&layer(), cancel).await,
        Some(CancelReason::Requested)
    );
    let stopping = layer();
    let stop = |_| {
        let layer = stopping.clone();
        tokio::spawn(async move { layer.shutdown(SECOND).await });
    };
    assert_eq!(reason(&stopping, stop).await, Some(CancelReason::Shutdown));
    let cut_off = |_| store.plan(Op::Renew, Fault::Unavailable, 100);
    assert_eq!(
        reason(&layer(), cut_off).await,
        Some(CancelReason::LeaseLost)
    );
}

/// A store whose subscriptions resolve early, up to a limit.
#[derive(Debug)]
struct Hasty(Arc<FaultyStore>, AtomicUsize);

impl Hasty {
    const LIMIT: usize = 10_000;
}

impl Interpose for Hasty {
    fn inner(&self) -> &dyn JobStore {
        &*self.0
    }

    fn subscribe(&self, id: &JobId) -> Subscription {
        match self.1.fetch_add(1, Ordering::Relaxed) {
            Self::LIMIT.. => self.0.subscribe(id),
            _ => Subscription::ready(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn held_poll_lets_others_run_though_its_subscriptions_resolve_early() {
    let hasty = Arc::new(Interposed::new(Hasty(shared(), AtomicUsize::default())));
    let layer = eager(AsyncJobLayer::builder().store(hasty.clone()));
    let location = submit(&layer, slow(100 * SECOND, "late")).await;
    let poll = with(get(&location), "prefer", "wait=5");
    let poll = tokio::spawn({
        let layer = layer.clone();
        async move { ask(&layer, poll).await }
    });
    settle().await;
    assert!(hasty.get_ref().1.load(Ordering::Relaxed) < Hasty::LIMIT);
    let cancelled = ask(&layer, request(Method::DELETE, &location)).await;
    assert_eq!(cancelled.status, StatusCode::ACCEPTED);
    assert_eq!(
        poll.await.expect("no panic").header("job-status"),
        "cancelled"
    );
}

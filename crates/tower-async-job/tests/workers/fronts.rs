//! Nodes with roles.

use std::sync::{Arc, atomic::Ordering};

use crate::{
    App, LEASE, Node, shared, state,
    support::{
        SECOND, ask,
        faulty::{Fault, FaultyStore, Op},
        get, path_of, post, send, settle, watched, with, wrap,
    },
};
use http::StatusCode;
use http_polling::JobState;
use tokio::time::{Instant, sleep, timeout};
use tower_async_job::{OnDisconnect, Role};

#[tokio::test(start_paused = true)]
async fn front_offers_what_can_be_replayed_in_one_call_and_waits_for_the_result() {
    let store = shared();
    let front = Node::new(&store, |builder| {
        builder.role(Role::Front).inline_wait(10 * SECOND)
    });
    let worker = Node::new(&store, |builder| builder.role(Role::Worker));
    worker.work(&App::slow(2 * SECOND));
    settle().await;
    let unused = App::new(|_| async { panic!("a front runs it") });
    let begun = Instant::now();
    let answer = send(&front.service(&unused), post("/report")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, "attempt 1");
    assert!(begun.elapsed() < 3 * SECOND, "{:?}", begun.elapsed());
    assert_eq!(store.calls(Op::Create), 1);
    assert_eq!(store.calls(Op::Start), 0);
}

#[tokio::test(start_paused = true)]
async fn front_announces_what_takes_longer_as_queued_until_it_is_claimed() {
    let store = shared();
    let front = Node::new(&store, |builder| builder.role(Role::Front));
    let app = App::slow(20 * SECOND);
    let keyed = || with(post("/report"), "idempotency-key", "k");
    let accepted = send(&front.service(&app), keyed()).await.pending();
    assert_eq!(accepted.header("job-status"), "queued");
    let job = path_of(accepted.location());
    assert_eq!(store.calls(Op::Read), 0, "it is known to be queued");
    assert_eq!(state(&store, job).await, JobState::Queued);
    let worker = Node::new(&store, |builder| builder.role(Role::Worker));
    worker.work(&app);
    sleep(SECOND).await;
    assert_eq!(state(&store, job).await, JobState::Running);
    sleep(20 * SECOND).await;
    assert_eq!(ask(&front.layer, get(job)).await.body, "attempt 1");
    assert_eq!(send(&front.service(&app), keyed()).await.body, "attempt 1");
}

#[tokio::test(start_paused = true)]
async fn front_runs_what_cannot_be_replayed_or_refuses_it() {
    let store = shared();
    let front = |refuses| {
        Node::configured(&store, |builder| {
            builder.role(Role::Front).refuse_local_jobs(refuses)
        })
    };
    let app = App::slow(SECOND);
    let job = front(false).submit(&app).await;
    assert_eq!(state(&store, &job).await, JobState::Running);
    let refused = send(&front(true).service(&app), post("/report")).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_ne!(refused.header("retry-after"), "");
}

#[tokio::test(start_paused = true)]
async fn worker_node_defers_no_request() {
    let node = Node::new(&shared(), |builder| builder.role(Role::Worker));
    let (handler, _, ended) = watched(5 * SECOND, "done");
    let service = wrap(&node.layer, handler);
    assert_eq!(send(&service, get("/health")).await.body, "done");
    assert_eq!(ended.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn front_that_shuts_down_offers_nothing() {
    let store = shared();
    let front = Node::new(&store, |builder| builder.role(Role::Front));
    front.layer.shutdown(SECOND).await;
    let refused = send(&front.service(&App::slow(SECOND)), post("/report")).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(store.jobs().await, 0);
}

#[tokio::test(start_paused = true)]
async fn job_of_a_front_is_cancelled_if_its_client_leaves_before_the_answer() {
    for (keyed, detach, state) in [
        (false, false, JobState::Cancelled),
        (true, false, JobState::Queued),
        (false, true, JobState::Queued),
    ] {
        let store = shared();
        let front = Node::new(&store, |builder| {
            let builder = builder.role(Role::Front).inline_wait(10 * SECOND);
            match detach {
                true => builder.on_disconnect(OnDisconnect::Detach),
                false => builder,
            }
        });
        let service = front.service(&App::slow(SECOND));
        let mut request = post("/report");
        if keyed {
            request = with(request, "idempotency-key", "k");
        }
        let call = timeout(SECOND, send(&service, request)).await;
        assert!(call.is_err(), "{call:?}");
        settle().await;
        assert_eq!(store.jobs_in(state).await, 1, "{keyed} {detach}");
    }
}

#[tokio::test(start_paused = true)]
async fn s18_offered_job_whose_creation_stays_unknown_is_run_all_the_same() {
    let store = FaultyStore::shared(LEASE).times(Op::Create, Fault::Unacknowledged, 1000);
    let store = Arc::new(store);
    let front = Node::new(&store, |builder| builder.role(Role::Front));
    let app = App::slow(SECOND);
    let keyed = with(post("/report"), "idempotency-key", "k");
    let refused = send(&front.service(&app), keyed).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    sleep(LEASE).await;
    assert_eq!(store.jobs_in(JobState::Queued).await, 1);
    let worker = Node::new(&store, |builder| builder.role(Role::Worker));
    worker.work(&app);
    sleep(3 * SECOND).await;
    assert_eq!(store.jobs_in(JobState::Done).await, 1);
    assert_eq!(store.calls(Op::Discard), 0, "another client may know it");
}

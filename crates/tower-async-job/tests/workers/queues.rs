//! Limits of the jobs that wait for a run, on all nodes.

use std::sync::Arc;

use crate::{
    App, LEASE, Node, RECOVERY, shared, state,
    support::{
        Answer, SECOND, ask,
        faulty::{FaultyStore, Op},
        get, path_of, post, send, with,
    },
};
use http::StatusCode;
use http_polling::JobState;
use tokio::time::sleep;
use tower_async_job::{Builder, Role, store::Principal};

/// Limits the waiting jobs to 3, and those of a user to 2.
fn limited(builder: Builder) -> Builder {
    let user = |request: http_polling::RequestHead<'_>| {
        let user = request.headers.get("user")?.to_str().ok()?;
        Some(Principal::new(user))
    };
    builder.principal(user).queue_limit(3, 2)
}

fn of(user: &'static str) -> http::Request<crate::support::Body> {
    with(post("/report"), "user", user)
}

#[track_caller]
fn assert_refused(answer: &Answer, status: StatusCode, kind: &str, limit: u64) {
    assert_eq!(answer.status, status);
    assert_eq!(answer.header("retry-after"), "5");
    assert_eq!(answer.header("job-status"), "");
    let problem = answer.json();
    let found = problem["type"].as_str().expect("a text");
    assert!(found.ends_with(kind), "{problem}");
    assert_eq!(problem["limit"], limit, "{problem}");
    assert_eq!(problem["setting"], "queue_limit", "{problem}");
}

#[tokio::test(start_paused = true)]
async fn s38_front_beyond_the_queue_limit_refuses_and_answers_repeats() {
    let store = shared();
    let front = Node::new(&store, |builder| limited(builder.role(Role::Front)));
    let service = front.service(&App::slow(SECOND));
    let keyed = with(of("a"), "idempotency-key", "k");
    let first = send(&service, keyed).await.pending();
    send(&service, of("a")).await.pending();
    let refused = send(&service, of("a")).await;
    assert_refused(&refused, StatusCode::TOO_MANY_REQUESTS, "quota-exceeded", 2);
    send(&service, of("b")).await.pending();
    let refused = send(&service, with(of("b"), "idempotency-key", "new")).await;
    assert_refused(
        &refused,
        StatusCode::SERVICE_UNAVAILABLE,
        "capacity-exhausted",
        3,
    );
    assert_eq!(store.jobs().await, 3);
    assert_eq!(store.calls(Op::Discard), 0);
    let again = send(&service, with(of("a"), "idempotency-key", "k")).await;
    assert_eq!(again.pending().location(), first.location());
    let worker = Node::new(&store, |builder| builder.role(Role::Worker));
    worker.work(&App::slow(10 * SECOND));
    sleep(SECOND).await;
    send(&service, with(of("b"), "idempotency-key", "new"))
        .await
        .pending();
}

#[tokio::test(start_paused = true)]
async fn s38_requests_that_wait_at_their_node_are_refused_before_they_begin() {
    for keyed in [false, true] {
        let store = shared();
        let node = Node::configured(&store, |builder| limited(builder).limits(1, 10));
        let service = node.service(&App::slow(60 * SECOND));
        let request = |user, key| match keyed {
            true => with(of(user), "idempotency-key", key),
            false => of(user),
        };
        // It runs, and does not wait.
        send(&service, request("a", "1")).await.pending();
        for key in ["2", "3"] {
            let queued = send(&service, request("a", key)).await.pending();
            assert_eq!(queued.header("job-status"), "queued");
        }
        let refused = send(&service, request("a", "4")).await;
        assert_refused(&refused, StatusCode::TOO_MANY_REQUESTS, "quota-exceeded", 2);
        send(&service, request("b", "5")).await.pending();
        let refused = send(&service, request("b", "6")).await;
        let status = StatusCode::SERVICE_UNAVAILABLE;
        assert_refused(&refused, status, "capacity-exhausted", 3);
        assert_eq!(store.jobs().await, 4, "{keyed}");
    }
}

#[tokio::test(start_paused = true)]
async fn s38_job_that_waits_for_a_rerun_fills_the_queue_and_is_never_refused() {
    let store = Arc::new(FaultyStore::shared(LEASE));
    let one = Node::new(&store, |builder| builder.queue_limit(1, 1));
    let front = Node::new(&store, |builder| {
        builder.role(Role::Front).queue_limit(1, 1)
    });
    let app = App::slow(20 * SECOND);
    let job = one.submit(&app).await;
    let offered = front.submit(&app).await;
    one.kill();
    sleep(RECOVERY).await;
    for url in [&job, &offered] {
        assert_eq!(state(&store, url).await, JobState::Queued);
    }
    let refused = send(&front.service(&app), post("/report")).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    let worker = Node::new(&store, |builder| builder.role(Role::Worker));
    worker.work(&app);
    sleep(30 * SECOND).await;
    for url in [&job, &offered] {
        let done = ask(&front.layer, get(path_of(url))).await;
        assert_eq!(done.status, StatusCode::OK);
    }
}

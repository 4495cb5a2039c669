//! Faults of submissions with an Idempotency-Key.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::{
    Body, Handler, Stream, eager,
    faulty::{Fault, FaultyStore, Op},
    get, handler, memory, path_of, post, request, send, settle, slow, stream, upload, with, wrap,
};
use http::{Method, Request, Response, StatusCode};
use http_polling::JobState;
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, ServiceExt};
use tower_async_job::{AsyncJobLayer, Builder, JobBody};

const SECOND: Duration = Duration::from_secs(1);

fn keyed(key: &'static str) -> Request<Body> {
    with(post("/report"), "idempotency-key", key)
}

fn on(store: FaultyStore) -> (Arc<FaultyStore>, Builder) {
    let store = Arc::new(store);
    (store.clone(), AsyncJobLayer::builder().store(store))
}

/// Returns a handler that answers with the number of its run.
fn counting(time: Duration) -> (Handler, Arc<AtomicUsize>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let handler = handler(move |_| {
        let run = counted.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            sleep(time).await;
            Response::new(Body::from(run.to_string()))
        }
    });
    (handler, runs)
}

async fn late(_: Request<JobBody<Stream>>) -> Result<Response<Body>, Infallible> {
    sleep(20 * SECOND).await;
    Ok(Response::new(Body::from("done")))
}

#[tokio::test(start_paused = true)]
async fn s02_repeat_on_a_full_node_gets_its_job() {
    let (handler, runs) = counting(10 * SECOND);
    let layer = eager(AsyncJobLayer::builder().limits(1, 0));
    let service = wrap(&layer, handler);
    let first = send(&service, keyed("k")).await.pending();
    let repeat = send(&service, keyed("k")).await.pending();
    assert_eq!(path_of(first.location()), path_of(repeat.location()));
    let other = send(&service, keyed("another")).await;
    assert_eq!(other.status, StatusCode::SERVICE_UNAVAILABLE);
    let mut reused = keyed("k");
    *reused.uri_mut() = "/another".parse().expect("valid");
    let reused = send(&service, reused).await;
    assert_eq!(reused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn repeat_that_waits_takes_no_place() {
    let layer = AsyncJobLayer::builder().limits(2, 0);
    let layer = layer.inline_wait(5 * SECOND).build().expect("valid");
    let service = wrap(&layer, slow(10 * SECOND, "done"));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let service = service.clone();
        calls.spawn(async move { send(&service, keyed("k")).await.pending() });
    }
    sleep(SECOND).await;
    send(&service, post("/other")).await.pending();
    calls.join_all().await;
}

#[tokio::test(start_paused = true)]
async fn slow_upload_with_a_key_takes_no_place() {
    let layer = eager(AsyncJobLayer::builder().limits(1, 0));
    let service = wrap(&layer, slow(10 * SECOND, "done"));
    let (_sender, body) = stream();
    let uploading = layer.layer(tower::service_fn(late));
    let uploading =
        tokio::spawn(uploading.oneshot(with(upload("/report", body), "idempotency-key", "k")));
    settle().await;
    send(&service, post("/other")).await.pending();
    uploading.abort();
}

#[tokio::test(start_paused = true)]
async fn s02_keyed_job_whose_client_went_away_while_it_was_stored_runs() {
    let store = FaultyStore::new(memory().build()).then(Op::Create, Fault::Late(2 * SECOND));
    let (store, layer) = on(store);
    let (handler, runs) = counting(SECOND);
    let service = wrap(&eager(layer), handler);
    let gone = timeout(SECOND, service.clone().oneshot(keyed("k"))).await;
    assert!(gone.is_err());
    sleep(5 * SECOND).await;
    assert_eq!(store.jobs().await, 1);
    assert_eq!(send(&service, keyed("k")).await.body, "1");
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn s18_keyed_call_whose_client_leaves_while_the_store_is_away_holds_no_place() {
    for first in [Fault::Unavailable, Fault::Unacknowledged] {
        let store = FaultyStore::shared(30 * SECOND)
            .then(Op::Create, first)
            .times(Op::Create, Fault::Unavailable, 2);
        let (store, layer) = on(store);
        let (handler, runs) = counting(SECOND);
        let service = wrap(&eager(layer.limits(1, 0)), handler);
        let gone = timeout(SECOND / 2, service.clone().oneshot(keyed("k"))).await;
        assert!(gone.is_err());
        settle().await;
        assert_eq!(store.calls(Op::Create), 3);
        send(&service, post("/other")).await.pending();
        sleep(SECOND).await;
        send(&service, keyed("k")).await.pending();
        sleep(2 * SECOND).await;
        assert_eq!(send(&service, keyed("k")).await.body, "2");
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn s18_keyed_record_whose_creation_was_not_acknowledged_is_dropped() {
    let store = FaultyStore::new(memory().build()).then(Op::Create, Fault::Unacknowledged);
    let (store, layer) = on(store);
    let (handler, _) = counting(SECOND);
    let service = wrap(&eager(layer), handler);
    let refused = send(&service, keyed("k")).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    settle().await;
    assert_eq!(store.jobs().await, 0);
    let again = send(&service, keyed("k")).await.pending();
    sleep(2 * SECOND).await;
    assert_eq!(send(&service, get(again.location())).await.body, "1");
}

/// Returns a shared store that stores a job without saying so, and cannot be reached for a while after.
fn unacknowledged(times: usize) -> FaultyStore {
    FaultyStore::shared(30 * SECOND)
        .then(Op::Create, Fault::Unacknowledged)
        .times(Op::Create, Fault::Unavailable, times)
        .times(Op::Discard, Fault::Unavailable, 2)
}

#[tokio::test(start_paused = true)]
async fn s18_job_that_a_repeat_has_found_runs_though_its_creation_was_not_acknowledged() {
    // The first client leaves after half a second, or waits until it is refused.
    for (patience, unreachable) in [(SECOND / 2, 2), (60 * SECOND, 6)] {
        let (_, layer) = on(unacknowledged(unreachable));
        let (handler, runs) = counting(SECOND);
        let service = wrap(&eager(layer.limits(1, 0)), handler);
        if let Ok(refused) = timeout(patience, send(&service, keyed("k"))).await {
            assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(refused.header("retry-after"), "5");
        }
        let found = send(&service, keyed("k")).await.pending();
        sleep(3 * SECOND).await;
        assert_eq!(send(&service, get(found.location())).await.body, "1");
        assert_eq!(send(&service, keyed("k")).await.body, "1");
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn s18_keyed_job_whose_creation_stays_unknown_ends_as_lost() {
    let (store, layer) = on(unacknowledged(1000));
    let (handler, runs) = counting(SECOND);
    let service = wrap(&eager(layer.limits(1, 0)), handler);
    let refused = send(&service, keyed("k")).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(store.jobs_in(JobState::Running).await, 1);
    sleep(15 * SECOND).await;
    assert_eq!(store.jobs_in(JobState::Lost).await, 1);
    assert_eq!(store.calls(Op::Discard), 0, "another client may know it");
    assert_eq!(runs.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn s18_repeat_whose_job_is_gone_is_asked_to_repeat() {
    let store = FaultyStore::new(memory().build())
        .then(Op::Create, Fault::Unacknowledged)
        .then(Op::Discard, Fault::Late(SECOND));
    let (_, layer) = on(store);
    let (handler, _) = counting(SECOND);
    let layer = layer.inline_wait(5 * SECOND).build().expect("valid");
    let service = wrap(&layer, handler);
    for _ in 0..2 {
        let refused = send(&service, keyed("k")).await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.header("retry-after"), "5");
    }
    assert_eq!(send(&service, keyed("k")).await.body, "1");
}

#[tokio::test(start_paused = true)]
async fn wait_that_a_keyed_submission_asked_for_is_acknowledged() {
    let service = wrap(&AsyncJobLayer::new(), slow(SECOND, "done"));
    let answer = send(&service, with(keyed("k"), "prefer", "wait=5")).await;
    assert_eq!(answer.body, "done");
    assert_eq!(answer.header("preference-applied"), "wait=5");
}

#[tokio::test(start_paused = true)]
async fn repeat_beyond_the_limit_of_held_polls_is_answered_at_once() {
    let layer = AsyncJobLayer::builder().hold_limits(0, 0);
    let service = wrap(&eager(layer), slow(10 * SECOND, "done"));
    send(&service, keyed("k")).await.pending();
    let begun = Instant::now();
    let repeat = with(keyed("k"), "prefer", "wait=5");
    let repeat = send(&service, repeat).await.pending();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(repeat.header("preference-applied"), "", "it was not");
}

#[tokio::test(start_paused = true)]
async fn first_client_of_a_key_learns_of_a_cancellation_at_once() {
    let layer = AsyncJobLayer::builder().inline_wait(5 * SECOND);
    let layer = layer
        .cancellation_grace(60 * SECOND)
        .build()
        .expect("valid");
    let service = wrap(&layer, slow(100 * SECOND, "done"));
    let begun = Instant::now();
    let first = tokio::spawn({
        let service = service.clone();
        async move { send(&service, keyed("k")).await }
    });
    sleep(SECOND).await;
    let repeat = send(&service, with(keyed("k"), "prefer", "wait=0"))
        .await
        .pending();
    let cancelled = send(
        &service,
        request(Method::DELETE, path_of(repeat.location())),
    )
    .await;
    assert_eq!(cancelled.status, StatusCode::ACCEPTED);
    let first = first.await.expect("no panic");
    assert_eq!(first.header("job-status"), "cancelled");
    assert_eq!(begun.elapsed(), SECOND);
}

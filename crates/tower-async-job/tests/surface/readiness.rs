//! Readiness of the inner service, and dropping the response future at each of its stages.

use std::sync::Arc;

use crate::support::{
    Answer, Body, SECOND, Strict, ask, asking, call, eager,
    faulty::{Fault, FaultyStore, Op},
    get, memory, post, send, settle, slow, with,
};
use http::{Request, Response, StatusCode};
use tokio::time::sleep;
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, Service, ServiceBuilder};
use tower_async_job::{AsyncJobLayer, JobBody, OnDisconnect};
use tower_test::mock;

type Mock = mock::Mock<Request<JobBody<Body>>, Response<Body>>;
type Handle = mock::Handle<Request<JobBody<Body>>, Response<Body>>;

fn pair() -> (Mock, Handle) {
    mock::pair()
}

fn faulty() -> Arc<FaultyStore> {
    Arc::new(FaultyStore::new(memory().build()))
}

#[tokio::test(start_paused = true)]
async fn service_that_panics_when_called_unready_is_never_called_so() {
    let layer = AsyncJobLayer::new();
    let service = layer.layer(Strict::new(slow(2 * SECOND, "late")));
    // Deferred, bypassed, refused inline wait, and a poll.
    let accepted = send(&service, post("/report")).await.pending();
    let upgrade = with(get("/ws"), "connection", "upgrade");
    let bypassed = send(&service, with(upgrade, "upgrade", "websocket")).await;
    assert_eq!(bypassed.body, "late");
    let waited = send(&service, with(post("/report"), "prefer", "wait=10")).await;
    assert_eq!(waited.body, "late");
    assert_eq!(send(&service, get(accepted.location())).await.body, "late");
}

#[tokio::test(start_paused = true)]
async fn buffer_of_one_beneath_does_not_deadlock() {
    let layer = eager(AsyncJobLayer::builder());
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .buffer(1)
        .service(Strict::new(slow(10 * SECOND, "late")));
    let mut accepted = Vec::new();
    for _ in 0..5 {
        let response = call(&service, post("/report")).await;
        accepted.push(Answer::of(response).await.pending());
    }
    sleep(60 * SECOND).await;
    for answer in accepted {
        assert_eq!(ask(&layer, get(answer.location())).await.body, "late");
    }
}

#[tokio::test(start_paused = true)]
async fn buffer_of_one_above_does_not_deadlock() {
    let layer = eager(AsyncJobLayer::builder());
    let service = ServiceBuilder::new()
        .buffer(1)
        .layer(layer.clone())
        .service(Strict::new(slow(10 * SECOND, "late")));
    let mut service = service.clone();
    for _ in 0..5 {
        std::future::poll_fn(|cx| service.poll_ready(cx))
            .await
            .expect("alive");
        let response = service.call(post("/report")).await.expect("alive");
        Answer::of(response).await.pending();
    }
}

#[tokio::test(start_paused = true)]
async fn layer_is_ready_before_the_inner_service_is() {
    let (mock, mut handle) = pair();
    handle.allow(0);
    let mut service = task::spawn(AsyncJobLayer::new().layer(mock));
    assert!(assert_ready!(service.enter(|cx, mut service| service.poll_ready(cx))).is_ok());
    let mut response = task::spawn(service.call(post("/report")));
    assert_pending!(response.poll());
    assert!(task::spawn(handle.next_request()).poll().is_pending());
    handle.allow(1);
    assert!(response.is_woken());
    assert_pending!(response.poll());
    let (request, respond) = handle.next_request().await.expect("called");
    assert_eq!(request.uri(), "/report");
    respond.send_response(Response::new(Body::from("inline")));
    let response = assert_ready!(response.poll()).expect("no error");
    assert_eq!(Answer::of(response).await.body, "inline");
}

#[tokio::test(start_paused = true)]
async fn readiness_is_waited_for_within_the_inline_wait_and_in_the_job() {
    let layer = AsyncJobLayer::new();
    let (mock, mut handle) = pair();
    handle.allow(0);
    let service = layer.layer(mock);
    let accepted = send(&service, post("/report")).await.pending();
    handle.allow(1);
    let (_, respond) = handle.next_request().await.expect("called");
    respond.send_response(Response::new(Body::from("late")));
    settle().await;
    assert_eq!(ask(&layer, get(accepted.location())).await.body, "late");
}

#[tokio::test(start_paused = true)]
async fn inner_service_that_fails_to_be_ready_fails_the_call_or_the_job() {
    let layer = AsyncJobLayer::new();
    let (mock, mut handle) = pair();
    handle.send_error("broken");
    let error = layer
        .layer(mock)
        .call(post("/report"))
        .await
        .expect_err("broken");
    assert!(error.to_string().contains("broken"), "{error}");

    let (mock, mut handle) = pair();
    handle.allow(0);
    let accepted = send(&layer.layer(mock), asking(post("/report")))
        .await
        .pending();
    handle.send_error("broken");
    settle().await;
    assert_eq!(
        ask(&layer, get(accepted.location()))
            .await
            .header("job-status"),
        "failed"
    );
}

// ---- drop points, in the order of a call's stages

#[tokio::test(start_paused = true)]
async fn dropped_before_it_is_polled_calls_nothing() {
    for policy in [OnDisconnect::Cancel, OnDisconnect::Detach] {
        let store = faulty();
        let layer = eager(
            AsyncJobLayer::builder()
                .store(store.clone())
                .on_disconnect(policy),
        );
        let (mock, mut handle) = pair();
        let mut service = layer.layer(mock);
        drop(service.call(post("/report")));
        settle().await;
        let called = task::spawn(handle.next_request()).poll().is_ready();
        // The request has been handed over, so detaching applies from the call on.
        assert_eq!(called, policy == OnDisconnect::Detach);
        assert_eq!(store.all_calls(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn dropped_while_the_inner_service_is_not_ready_calls_nothing() {
    let (mock, mut handle) = pair();
    handle.allow(0);
    let mut service = AsyncJobLayer::new().layer(mock);
    let mut response = task::spawn(service.call(post("/report")));
    assert_pending!(response.poll());
    drop(response);
    handle.allow(10);
    settle().await;
    assert!(task::spawn(handle.next_request()).poll().is_pending());
}

#[tokio::test(start_paused = true)]
async fn dropped_within_the_inline_wait_drops_the_call() {
    let store = faulty();
    let layer = AsyncJobLayer::builder()
        .store(store.clone())
        .build()
        .expect("valid");
    let (mock, mut handle) = pair();
    let mut service = layer.layer(mock);
    let mut response = task::spawn(service.call(post("/report")));
    assert_pending!(response.poll());
    let (_, respond) = handle.next_request().await.expect("called");
    drop(response);
    respond.send_response(Response::new(Body::from("to nobody")));
    sleep(5 * SECOND).await;
    assert_eq!(store.all_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn dropped_right_after_the_hand_over_makes_no_job() {
    // An immediate store answers within the first poll, without such a moment.
    let store = Arc::new(FaultyStore::new(memory().build()).then(Op::Create, Fault::Late(SECOND)));
    let layer = eager(AsyncJobLayer::builder().store(store.clone()));
    let (mock, mut handle) = pair();
    let mut service = layer.layer(mock);
    // The first poll hands the work to a task, which has not run when the future is dropped.
    let mut response = task::spawn(service.call(post("/report")));
    assert_pending!(response.poll());
    drop(response);
    let (_request, _respond) = handle.next_request().await.expect("called");
    sleep(2 * SECOND).await;
    assert_eq!(store.jobs().await, 0);
}

#[tokio::test(start_paused = true)]
async fn accepted_within_the_first_poll_keeps_the_promise_whatever_becomes_of_the_answer() {
    let layer = eager(AsyncJobLayer::builder());
    let (mock, mut handle) = pair();
    let mut service = layer.layer(mock);
    let mut response = task::spawn(service.call(post("/report")));
    let accepted = assert_ready!(response.poll()).expect("answered");
    assert_eq!(accepted.status(), StatusCode::SEE_OTHER);
    let location = accepted.headers()["location"].clone();
    drop((accepted, response));
    let (_request, respond) = handle.next_request().await.expect("called");
    respond.send_response(Response::new(Body::from("done")));
    settle().await;
    let answer = send(&service, get(location.to_str().expect("text"))).await;
    assert_eq!(answer.body, "done");
}

#[tokio::test(start_paused = true)]
async fn dropped_while_the_record_is_written_makes_no_job() {
    let store = Arc::new(FaultyStore::new(memory().build()).then(Op::Create, Fault::Late(SECOND)));
    let layer = eager(AsyncJobLayer::builder().store(store.clone()));
    let (mock, mut handle) = pair();
    let mut service = layer.layer(mock);
    let mut response = task::spawn(service.call(post("/report")));
    assert_pending!(response.poll());
    let (_request, _respond) = handle.next_request().await.expect("called");
    settle().await;
    drop(response);
    sleep(5 * SECOND).await;
    assert_eq!(store.jobs().await, 0);
    assert_eq!(store.calls(Op::Discard), 1);
}

#[tokio::test(start_paused = true)]
async fn dropped_after_the_record_is_written_but_before_the_answer_is_read_keeps_the_promise() {
    let store = Arc::new(FaultyStore::new(memory().build()).then(Op::Create, Fault::Late(SECOND)));
    let layer = eager(AsyncJobLayer::builder().store(store.clone()));
    let (mock, mut handle) = pair();
    let mut service = layer.layer(mock);
    let mut response = task::spawn(service.call(post("/report")));
    assert_pending!(response.poll());
    let (_request, respond) = handle.next_request().await.expect("called");
    sleep(2 * SECOND).await;
    assert!(response.is_woken());
    // The answer may be in flight: from here on the job runs to its end.
    drop(response);
    respond.send_response(Response::new(Body::from("done")));
    settle().await;
    assert_eq!(store.jobs_in(http_polling::JobState::Done).await, 1);
}

#[tokio::test(start_paused = true)]
async fn dropped_after_the_answer_changes_nothing() {
    let layer = eager(AsyncJobLayer::builder());
    let (mock, mut handle) = pair();
    let mut service = layer.layer(mock);
    let accepted = Answer::of(service.call(post("/report")).await.expect("no error"))
        .await
        .pending();
    assert_eq!(accepted.status, StatusCode::SEE_OTHER);
    drop(service);
    let (_request, respond) = handle.next_request().await.expect("called");
    respond.send_response(Response::new(Body::from("done")));
    settle().await;
    assert_eq!(ask(&layer, get(accepted.location())).await.body, "done");
}

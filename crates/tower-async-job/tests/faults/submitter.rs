//! Clients that disconnect after their submission.

use std::{
    convert::Infallible,
    sync::{Arc, atomic::Ordering},
};

use crate::{
    builder, faulty, store,
    support::{
        Body, Lifeline, SECOND, Stream, ask, asking, eager,
        faulty::{Fault, Op},
        get, handler, post, send, settle, slow, stream, upload, watched, wrap,
    },
};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use http_polling::JobState;
use tokio::time::sleep;
use tokio_test::{assert_pending, task};
use tower::{Layer, Service, service_fn};
use tower_async_job::{AsyncJobLayer, JobBody, JobContext, OnDisconnect};

#[tokio::test(start_paused = true)]
async fn s30_submitter_gone_within_the_inline_wait_cancels_the_handler() {
    let (handler, lifeline, ended) = watched(5 * SECOND, "late");
    let mut service = wrap(&AsyncJobLayer::new(), handler);
    let mut response = task::spawn(service.call(post("/report")));
    assert_pending!(response.poll());
    assert!(lifeline.is_alive());
    drop(response);
    assert!(!lifeline.is_alive());
    sleep(10 * SECOND).await;
    assert_eq!(ended.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn s30_submitter_gone_within_the_inline_wait_detaches_where_configured() {
    let store = Arc::new(store());
    let layer = faulty(&store)
        .on_disconnect(OnDisconnect::Detach)
        .build()
        .expect("valid");
    let (handler, lifeline, ended) = watched(5 * SECOND, "late");
    let mut service = wrap(&layer, handler);
    let mut response = task::spawn(service.call(post("/report")));
    assert_pending!(response.poll());
    drop(response);
    assert!(lifeline.is_alive());
    sleep(6 * SECOND).await;
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    assert!(!lifeline.is_alive());
    assert_eq!(store.all_calls(), 0, "nobody could ask for such a job");
}

#[tokio::test(start_paused = true)]
async fn s30_submitter_gone_while_the_record_is_written_cancels_the_handler_at_once() {
    let store = Arc::new(store().then(Op::Create, Fault::Late(30 * SECOND)));
    let (handler, lifeline, ended) = watched(60 * SECOND, "late");
    let mut service = wrap(&eager(faulty(&store)), handler);
    let mut response = task::spawn(service.call(post("/report")));
    assert_pending!(response.poll());
    settle().await;
    assert_eq!(store.calls(Op::Create), 1);
    drop(response);
    settle().await;
    assert!(
        !lifeline.is_alive(),
        "the handler outlives its client while the store is slow"
    );
    sleep(100 * SECOND).await;
    assert_eq!(ended.load(Ordering::SeqCst), 0);
    assert_eq!(store.calls(Op::Discard), 1);
    assert_eq!(store.jobs().await, 0);
}

#[tokio::test(start_paused = true)]
async fn s30_submitter_gone_while_the_record_is_written_detaches_where_configured() {
    let store = Arc::new(store().then(Op::Create, Fault::Late(3 * SECOND)));
    let (handler, _, ended) = watched(5 * SECOND, "late");
    let layer = eager(faulty(&store).on_disconnect(OnDisconnect::Detach));
    let mut service = wrap(&layer, handler);
    let mut response = task::spawn(service.call(post("/report")));
    assert_pending!(response.poll());
    settle().await;
    drop(response);
    sleep(10 * SECOND).await;
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    assert_eq!(store.jobs_in(JobState::Done).await, 1);
}

#[tokio::test(start_paused = true)]
async fn s30_submitter_gone_while_the_upload_is_spooled_cancels_or_detaches() {
    for policy in [OnDisconnect::Cancel, OnDisconnect::Detach] {
        let (token, lifeline) = Lifeline::new();
        let token = Arc::new(std::sync::Mutex::new(Some(token)));
        let inner = service_fn(move |request: Request<JobBody<Stream>>| {
            let token = token.lock().expect("unpoisoned").take();
            async move {
                let _token = token;
                let broken = request.into_body().collect().await.is_err();
                Ok::<_, Infallible>(Response::new(Body::from(broken.to_string())))
            }
        });
        let mut service = eager(builder().on_disconnect(policy)).layer(inner);
        let (mut sender, body) = stream();
        let mut response = task::spawn(service.call(upload("/report", body)));
        assert_pending!(response.poll());
        sender.send_data("begun".into()).await.expect("read");
        assert_pending!(response.poll());
        drop(response);
        settle().await;
        assert_eq!(lifeline.is_alive(), policy == OnDisconnect::Detach);
        // A handler that continues alone sees the end of the upload.
        sender.abort("the connection is closed".into());
        settle().await;
        assert!(
            !lifeline.is_alive(),
            "a detached handler waits for an upload that nobody reads"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn s30_submitter_gone_after_the_acceptance_changes_nothing() {
    let layer = eager(builder());
    let (handler, _, ended) = watched(5 * SECOND, "late");
    let mut service = wrap(&layer, handler);
    let response = service.call(post("/report")).await.expect("infallible");
    let location = response.headers()["location"]
        .to_str()
        .expect("text")
        .to_owned();
    drop(response);
    drop(service);
    sleep(6 * SECOND).await;
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    assert_eq!(ask(&layer, get(&location)).await.body, "late");
}

#[tokio::test(start_paused = true)]
async fn s30_work_that_went_on_elsewhere_sees_that_the_submitter_has_gone() {
    let contexts = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = contexts.clone();
    let handler = handler(move |request| {
        kept.lock()
            .expect("unpoisoned")
            .push(JobContext::of(&request));
        std::future::pending()
    });
    let store = Arc::new(store().then(Op::Create, Fault::Late(3 * SECOND)));
    for layer in [AsyncJobLayer::new(), eager(faulty(&store))] {
        let mut service = wrap(&layer, handler.clone());
        let mut response = task::spawn(service.call(post("/report")));
        assert_pending!(response.poll());
        settle().await;
        let context = contexts.lock().expect("unpoisoned").pop().expect("called");
        assert!(!context.is_cancelled());
        drop(response);
        settle().await;
        assert!(context.is_cancelled());
    }
}

#[tokio::test(start_paused = true)]
async fn submitter_gone_gives_its_place_back() {
    let layer = builder().limits(1, 1).build().expect("valid");
    let mut service = wrap(&layer, slow(60 * SECOND, "late"));
    let mut running = task::spawn(service.call(post("/a")));
    assert_pending!(running.poll());
    let mut queued = task::spawn(service.call(post("/b")));
    assert_pending!(queued.poll());
    assert_eq!(
        send(&service, post("/c")).await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    drop(running);
    drop(queued);
    let accepted = send(&service, asking(post("/d"))).await.pending();
    assert_eq!(accepted.header("job-status"), "running");
}

//! Cancelling by handle.

use std::sync::Arc;

use super::{handle, operate, submit};
use crate::support::{
    Body, SECOND, ask, eager,
    faulty::{Fault, FaultyStore, Op},
    get, handler,
    lists::assert_problem,
    memory, request, settle, slow, watched,
};
use http::{Method, StatusCode};
use tokio::time::sleep;
use tower_async_job::{AsyncJobLayer, JobContext};

#[tokio::test(start_paused = true)]
async fn cancelling_by_handle_does_what_the_client_s_delete_does() {
    let layer = eager(AsyncJobLayer::builder());
    let noticed = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = noticed.clone();
    let handler = handler(move |request| {
        let seen = seen.clone();
        async move {
            let job = JobContext::of(&request);
            job.cancelled().await;
            seen.store(true, std::sync::atomic::Ordering::SeqCst);
            http::Response::new(Body::from("too late"))
        }
    });
    let location = submit(&layer, handler, "/report").await;
    settle().await;
    let handle = handle(&layer).await;
    let resource = layer.operator_resource();
    let path = format!("/{handle}");
    let cancelled = operate(&resource, request(Method::DELETE, &path)).await;
    assert_eq!(cancelled.status, StatusCode::ACCEPTED);
    assert_eq!(cancelled.header("cache-control"), "no-store");
    assert_eq!(cancelled.json()["handle"], *handle);
    assert_eq!(cancelled.json()["state"], "cancelled");
    // The client sees it immediately, and so does the handler.
    let answer = ask(&layer, get(&location)).await;
    assert_eq!(answer.status, StatusCode::GONE);
    assert_eq!(answer.header("job-status"), "cancelled");
    settle().await;
    assert!(noticed.load(std::sync::atomic::Ordering::SeqCst));
    let again = operate(&resource, request(Method::DELETE, &path)).await;
    assert_problem(&again, StatusCode::CONFLICT);
    assert_eq!(again.json()["state"], "cancelled");
}

#[tokio::test(start_paused = true)]
async fn handler_that_does_not_notice_an_operator_is_dropped_after_the_grace() {
    let layer = eager(AsyncJobLayer::builder());
    let (handler, lifeline, ended) = watched(600 * SECOND, "late");
    submit(&layer, handler, "/report").await;
    let handle = handle(&layer).await;
    let resource = layer.operator_resource();
    operate(&resource, request(Method::DELETE, &format!("/{handle}"))).await;
    assert!(lifeline.is_alive());
    sleep(6 * SECOND).await;
    assert!(!lifeline.is_alive());
    assert_eq!(ended.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn operator_who_is_late_does_not_drop_the_result() {
    let layer = eager(AsyncJobLayer::builder());
    let location = submit(&layer, slow(SECOND, "the result"), "/report").await;
    let handle = handle(&layer).await;
    sleep(2 * SECOND).await;
    let resource = layer.operator_resource();
    let late = operate(&resource, request(Method::DELETE, &format!("/{handle}"))).await;
    assert_problem(&late, StatusCode::CONFLICT);
    assert_eq!(late.json()["state"], "done");
    assert_eq!(ask(&layer, get(&location)).await.body, "the result");
}

#[tokio::test(start_paused = true)]
async fn cancellation_by_handle_is_answered_although_the_record_cannot_be_read_after_it() {
    let store = Arc::new(FaultyStore::new(memory().build()));
    let layer = eager(AsyncJobLayer::builder().store(store.clone()));
    submit(&layer, slow(60 * SECOND, "late"), "/report").await;
    let handle = handle(&layer).await;
    store.plan(Op::Read, Fault::Unavailable, 1);
    let resource = layer.operator_resource();
    let cancelled = operate(&resource, request(Method::DELETE, &format!("/{handle}"))).await;
    assert_eq!(cancelled.status, StatusCode::ACCEPTED);
    assert_eq!(cancelled.json()["state"], "cancelled");
    assert_eq!(cancelled.json()["handle"], *handle);
}

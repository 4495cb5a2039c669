//! The list of jobs for operators: its contents, and cancelling by handle.

mod cancelling;
mod listing;
mod requests;

use crate::support::{self, Answer, Body, get, post, send, wrap};
use http::{Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt;
use tower_async_job::{AsyncJobLayer, OperatorResource};

async fn operate(resource: &OperatorResource, request: Request<Body>) -> Answer {
    Answer::of(resource.clone().oneshot(request).await.expect("infallible")).await
}

async fn list(layer: &AsyncJobLayer, query: &str) -> Answer {
    operate(&layer.operator_resource(), get(query)).await
}

async fn submit(layer: &AsyncJobLayer, handler: support::Handler, route: &str) -> String {
    let accepted = send(&wrap(layer, handler), post(route)).await.pending();
    accepted.location().to_owned()
}

fn jobs(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()["jobs"]
        .as_array()
        .expect("a list of jobs")
        .clone()
}

fn handles(answer: &Answer) -> Vec<String> {
    let handle = |job: &Value| job["handle"].as_str().expect("a handle").to_owned();
    jobs(answer).iter().map(handle).collect()
}

/// Returns the handle of the only job.
async fn handle(layer: &AsyncJobLayer) -> String {
    let listed = handles(&list(layer, "/").await);
    assert_eq!(listed.len(), 1);
    listed[0].clone()
}

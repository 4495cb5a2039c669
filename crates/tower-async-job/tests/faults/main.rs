//! Faults of clients, stores and handlers, and load beyond the limits.

#[path = "../support/mod.rs"]
mod support;

mod acceptance;
mod background;
mod cancelling;
mod chunks;
mod clocks;
mod crowds;
mod endings;
mod governed;
mod keyed;
mod leases;
mod nodes;
mod offered;
mod overload;
mod panics;
mod records;
mod replay;
mod reports;
mod resource;
mod restoring;
mod room;
mod shutdown;
mod sockets;
mod spooling;
mod storing;
mod streaming;
mod submitter;
mod warnings;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::support::{
    Answer, Body, Handler, faulty::FaultyStore, handler, memory, post, send, wrap,
};
use http::{Response, StatusCode};
use tokio::time::sleep;
use tower_async_job::{AsyncJobLayer, Builder, CancelReason, JobContext};

fn builder() -> Builder {
    AsyncJobLayer::builder()
}

fn faulty(store: &Arc<FaultyStore>) -> Builder {
    builder().store(store.clone())
}

fn store() -> FaultyStore {
    FaultyStore::new(memory().build())
}

/// Submits a request, and returns the job's Location.
async fn submit(layer: &AsyncJobLayer, handler: Handler) -> String {
    let accepted = send(&wrap(layer, handler), post("/report")).await.pending();
    accepted.location().to_owned()
}

/// Returns a handler that goes on for a time after its cancellation, and the reason that it then
/// has.
fn cancelled_for(time: Duration) -> (Handler, Arc<Mutex<Option<CancelReason>>>) {
    let reason = Arc::<Mutex<_>>::default();
    let noted = reason.clone();
    let handler = handler(move |request| {
        let noted = noted.clone();
        async move {
            let job = JobContext::of(&request);
            job.cancelled().await;
            sleep(time).await;
            *noted.lock().expect("unpoisoned") = job.cancel_reason();
            Response::new(Body::default())
        }
    });
    (handler, reason)
}

#[track_caller]
fn assert_trailers_only(answer: &Answer, code: &str) {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/grpc");
    assert_eq!(answer.header("grpc-status"), code);
    assert_ne!(answer.header("grpc-message"), "");
    assert!(answer.body.is_empty());
    assert!(answer.trailers.is_none());
}

#[track_caller]
fn assert_problem(answer: &Answer, status: StatusCode, state: &str, kind: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("job-status"), state);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("cache-control"), "no-store");
    let problem = answer.json();
    assert!(
        problem["type"].as_str().expect("text").ends_with(kind),
        "{problem}"
    );
    assert_eq!(problem["status"], status.as_u16());
}

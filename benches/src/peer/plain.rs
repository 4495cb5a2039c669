//! A minimal polling endpoint: without deadline and cancellation, and jobs are never deleted.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use dashmap::DashMap;
use http::{
    StatusCode,
    header::{CACHE_CONTROL, LOCATION, RETRY_AFTER},
};
use serde::Serialize;
use tokio::sync::Notify;

use super::work;

/// The jobs by id.
pub type Jobs = Arc<DashMap<u128, Job>>;

/// The state of a job.
#[derive(Debug, Clone)]
pub enum Job {
    /// The job runs.
    Running,
    /// The job has ended with this result.
    Done(Bytes),
}

/// The application: `POST /report` and `GET /work/{id}`.
pub fn router(gate: Arc<Notify>) -> Router {
    let jobs = Jobs::default();
    Router::new()
        .route("/report", post(submit))
        .route("/work/{id}", get(poll))
        .with_state(Application { jobs, gate })
}

#[derive(Clone)]
struct Application {
    jobs: Jobs,
    gate: Arc<Notify>,
}

#[derive(Serialize)]
struct Status<'a> {
    id: &'a str,
    state: &'a str,
}

async fn submit(State(application): State<Application>) -> Response {
    let id = rand::random();
    spawn(&application.jobs, id, application.gate);
    pending(id)
}

/// Starts a job.
pub fn spawn(jobs: &Jobs, id: u128, gate: Arc<Notify>) {
    jobs.insert(id, Job::Running);
    let jobs = jobs.clone();
    tokio::spawn(async move {
        let result = work(gate).await;
        jobs.insert(id, Job::Done(result));
    });
}

async fn poll(State(application): State<Application>, Path(id): Path<String>) -> Response {
    let Ok(id) = u128::from_str_radix(&id, 16) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match application.jobs.get(&id).map(|job| job.clone()) {
        Some(Job::Running) => pending(id),
        Some(Job::Done(result)) => ([(CACHE_CONTROL, "no-store")], result).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn pending(id: u128) -> Response {
    let id = format!("{id:032x}");
    let headers = [
        (LOCATION, format!("/work/{id}")),
        (RETRY_AFTER, "1".to_owned()),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    let status = Status {
        id: &id,
        state: "running",
    };
    (StatusCode::SEE_OTHER, headers, Json(status)).into_response()
}

//! The polling endpoint that one writes by hand: axum, a `DashMap`, and a task per job.

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

/// The jobs by id.
pub type Jobs = Arc<DashMap<u128, Job>>;

/// What is known of a job.
#[derive(Debug, Clone)]
pub enum Job {
    /// It runs.
    Running,
    /// It has ended with this.
    Done(Bytes),
}

/// What the work waits for, and the 1 KiB that it gives then.
pub async fn work(gate: Arc<Notify>) -> Bytes {
    gate.notified().await;
    Bytes::from(vec![b'x'; 1024])
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

/// Begins a job.
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

/// The same with what the layer does too: a deadline, cancellation, an end that is forgotten, and
/// an answer of the same bytes.
pub mod full {
    use super::*;
    use std::time::{Duration, SystemTime};
    use tokio_util::sync::CancellationToken;

    /// The jobs by id.
    pub type Jobs = Arc<DashMap<u128, Job>>;

    /// A job.
    #[derive(Debug, Clone)]
    pub struct Job {
        created: SystemTime,
        cancel: CancellationToken,
        state: State,
    }

    /// What is known of it.
    #[derive(Debug, Clone)]
    pub enum State {
        /// It runs.
        Running,
        /// It has ended with this.
        Done(Bytes),
        /// It was cancelled or took too long.
        GivenUp,
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
        created: String,
        started: String,
        attempt: u32,
        retry_after_ms: u64,
    }

    /// The application: `POST /report`, `GET` and `DELETE /work/{id}`.
    pub fn router(gate: Arc<Notify>) -> Router {
        let jobs = Jobs::default();
        Router::new()
            .route("/report", post(submit))
            .route("/work/{id}", get(poll).delete(cancel))
            .with_state(Application { jobs, gate })
    }

    /// Begins a job.
    pub fn spawn(jobs: &Jobs, id: u128, gate: Arc<Notify>) -> SystemTime {
        let created = SystemTime::now();
        let cancel = CancellationToken::new();
        jobs.insert(
            id,
            Job {
                created,
                cancel: cancel.clone(),
                state: State::Running,
            },
        );
        let jobs = jobs.clone();
        tokio::spawn(async move {
            let state = tokio::select! {
                result = work(gate) => State::Done(result),
                () = tokio::time::sleep(Duration::from_secs(3600)) => State::GivenUp,
                () = cancel.cancelled() => State::GivenUp,
            };
            jobs.insert(
                id,
                Job {
                    created,
                    cancel,
                    state,
                },
            );
            tokio::time::sleep(Duration::from_secs(3600)).await;
            jobs.remove(&id);
        });
        created
    }

    async fn submit(
        axum::extract::State(application): axum::extract::State<Application>,
    ) -> Response {
        let id = rand::random();
        let created = spawn(&application.jobs, id, application.gate);
        pending(id, created)
    }

    async fn cancel(
        axum::extract::State(application): axum::extract::State<Application>,
        Path(id): Path<String>,
    ) -> StatusCode {
        let id = u128::from_str_radix(&id, 16).unwrap_or(0);
        match application.jobs.get(&id) {
            Some(job) => {
                job.cancel.cancel();
                StatusCode::ACCEPTED
            }
            None => StatusCode::NOT_FOUND,
        }
    }

    async fn poll(
        axum::extract::State(application): axum::extract::State<Application>,
        Path(id): Path<String>,
    ) -> Response {
        let Ok(id) = u128::from_str_radix(&id, 16) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        match application.jobs.get(&id).map(|job| job.clone()) {
            Some(Job {
                state: State::Running,
                created,
                ..
            }) => pending(id, created),
            Some(Job {
                state: State::Done(result),
                ..
            }) => ([(CACHE_CONTROL, "no-store")], result).into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }

    fn pending(id: u128, created: SystemTime) -> Response {
        let id = format!("{id:032x}");
        let headers = [
            (LOCATION, format!("/work/{id}?poll=1&due=1000")),
            (RETRY_AFTER, "1".to_owned()),
            (
                http::HeaderName::from_static("retry-after-ms"),
                "1000".to_owned(),
            ),
            (
                http::HeaderName::from_static("job-status"),
                "running".to_owned(),
            ),
            (CACHE_CONTROL, "no-store".to_owned()),
            (http::header::VARY, "accept, prefer".to_owned()),
        ];
        let time = humantime::format_rfc3339_millis(created).to_string();
        let status = Status {
            id: &id,
            state: "running",
            created: time.clone(),
            started: time,
            attempt: 1,
            retry_after_ms: 1000,
        };
        (StatusCode::SEE_OTHER, headers, Json(status)).into_response()
    }
}

//! A polling endpoint with the features of the layer: a deadline, cancellation, results that are deleted,
//! and answers of the same bytes.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use dashmap::DashMap;
use http::{
    HeaderName, StatusCode,
    header::{CACHE_CONTROL, LOCATION, RETRY_AFTER, VARY},
};
use serde::Serialize;
use tokio::{select, sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;

use super::work;

/// The deadline of the work, and the retention of its result.
const HOUR: Duration = Duration::from_secs(60 * 60);

/// The jobs by id.
pub type Jobs = Arc<DashMap<u128, Job>>;

/// The state of a job.
#[derive(Debug, Clone)]
pub struct Job {
    created: SystemTime,
    cancel: CancellationToken,
    stage: Stage,
}

#[derive(Debug, Clone)]
enum Stage {
    Running,
    Done(Bytes),
    /// The job was cancelled, or its deadline has passed.
    GivenUp,
}

/// The application: `POST /report`, and `GET` and `DELETE /work/{id}`.
pub fn router(gate: Arc<Notify>) -> Router {
    let jobs = Jobs::default();
    Router::new()
        .route("/report", post(submit))
        .route("/work/{id}", get(poll).delete(cancel))
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
    created: &'a str,
    started: &'a str,
    attempt: u32,
    retry_after_ms: u64,
}

async fn submit(State(application): State<Application>) -> Response {
    let id = rand::random();
    let created = spawn(&application.jobs, id, application.gate);
    pending(id, created)
}

/// Starts a job, and returns the time of its start.
pub fn spawn(jobs: &Jobs, id: u128, gate: Arc<Notify>) -> SystemTime {
    let created = SystemTime::now();
    let cancel = CancellationToken::new();
    let job = Job {
        created,
        cancel: cancel.clone(),
        stage: Stage::Running,
    };
    jobs.insert(id, job);
    let jobs = jobs.clone();
    tokio::spawn(async move {
        let stage = select! {
            result = work(gate) => Stage::Done(result),
            () = sleep(HOUR) => Stage::GivenUp,
            () = cancel.cancelled() => Stage::GivenUp,
        };
        let job = Job {
            created,
            cancel,
            stage,
        };
        jobs.insert(id, job);
        sleep(HOUR).await;
        jobs.remove(&id);
    });
    created
}

async fn poll(State(application): State<Application>, Path(id): Path<String>) -> Response {
    let Ok(id) = u128::from_str_radix(&id, 16) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let job = application.jobs.get(&id).map(|job| job.clone());
    match job.map(|job| (job.stage, job.created)) {
        Some((Stage::Running, created)) => pending(id, created),
        Some((Stage::Done(result), _)) => ([(CACHE_CONTROL, "no-store")], result).into_response(),
        Some((Stage::GivenUp, _)) => StatusCode::GONE.into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn cancel(State(application): State<Application>, Path(id): Path<String>) -> StatusCode {
    let id = u128::from_str_radix(&id, 16).ok();
    match id.and_then(|id| application.jobs.get(&id)) {
        Some(job) => {
            job.cancel.cancel();
            StatusCode::ACCEPTED
        }
        None => StatusCode::NOT_FOUND,
    }
}

fn pending(id: u128, created: SystemTime) -> Response {
    let id = format!("{id:032x}");
    let headers = [
        (LOCATION, format!("/work/{id}?poll=1&due=1000")),
        (RETRY_AFTER, "1".to_owned()),
        (HeaderName::from_static("retry-after-ms"), "1000".to_owned()),
        (HeaderName::from_static("job-status"), "running".to_owned()),
        (CACHE_CONTROL, "no-store".to_owned()),
        (VARY, "accept, prefer".to_owned()),
    ];
    let created = humantime::format_rfc3339_millis(created).to_string();
    let status = Status {
        id: &id,
        state: "running",
        created: &created,
        started: &created,
        attempt: 1,
        retry_after_ms: 1_000,
    };
    (StatusCode::SEE_OTHER, headers, Json(status)).into_response()
}

//! The file of the store, and the store without its disk.

mod clock;
mod cut;
#[cfg(unix)]
mod deleted;
#[cfg(target_os = "linux")]
mod disk;
mod fairness;
mod files;
mod full;
mod log;
mod opening;
mod outages;
#[cfg(unix)]
mod refused;
mod sealed;
mod times;
mod unreadable;

use http::{HeaderMap, StatusCode};
use http_polling::JobState;
use tower_async_job_core::{
    Claim, ClaimQuery, Created, Detail, JobId, JobStore, Lease, NewJob, Outcome, ReplayedRequest,
    Start, StoredRequest, StoredResponse,
};
use tower_async_job_sqlite::SqliteStore;

fn job() -> NewJob {
    NewJob::new(JobId::random())
}

fn replayable(bytes: usize) -> NewJob {
    let mut request = ReplayedRequest::default();
    request.body = vec![7; bytes].into();
    job().with_request(StoredRequest::encode(&request))
}

async fn add(store: &SqliteStore, job: NewJob) -> Lease {
    match store.create(job).await.unwrap() {
        Created::New { lease, .. } => lease,
        other => panic!("{other:?}"),
    }
}

async fn offer(store: &SqliteStore, job: NewJob) -> JobId {
    let id = job.id;
    let created = store.create(job.with_start(Start::Offered)).await.unwrap();
    assert!(matches!(created, Created::Offered { .. }));
    id
}

async fn claim(store: &SqliteStore, limit: usize) -> Vec<Claim> {
    store.claim(&ClaimQuery::new(limit)).await.unwrap().jobs
}

async fn state(store: &SqliteStore, id: &JobId) -> Option<JobState> {
    let record = store.read(id, Detail::Status).await.unwrap();
    record.map(|record| record.state)
}

fn response(bytes: usize) -> StoredResponse {
    let mut recorder = StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), bytes);
    recorder.push(&vec![7; bytes]).unwrap();
    recorder.finish(None)
}

fn done(bytes: usize) -> Outcome {
    Outcome::Done(response(bytes))
}

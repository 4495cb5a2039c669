//! Processes that share a file, and processes that are killed.

#[path = "../support/child.rs"]
mod child;

mod killed;
mod roles;
mod sharing;

use std::path::Path;

use http::{HeaderMap, StatusCode};
use http_polling::JobState;
use tower_async_job_core::{
    Claim, ClaimQuery, Created, Detail, JobId, JobStore, Lease, NewJob, Outcome, ReplayedRequest,
    Start, StoredRequest, StoredResponse,
};
use tower_async_job_sqlite::SqliteStore;

/// The lease of the stores, short since these tests wait for its end.
const LEASE: std::time::Duration = std::time::Duration::from_secs(2);

/// The number of chunks of a result, and the bytes of each.
const CHUNKS: u32 = 3;
const CHUNK: usize = 20_000;

async fn open(path: &Path) -> SqliteStore {
    let builder = SqliteStore::builder().lease_duration(LEASE).readers(2);
    builder.open(path).await.unwrap()
}

fn replayable() -> NewJob {
    NewJob::new(JobId::random()).with_request(StoredRequest::encode(&ReplayedRequest::default()))
}

async fn offer(store: &SqliteStore) -> JobId {
    let job = replayable()
        .with_start(Start::Offered)
        .with_max_attempts(100);
    let id = job.id;
    let created = store.create(job).await.unwrap();
    assert!(matches!(created, Created::Offered { .. }));
    id
}

async fn add(store: &SqliteStore, job: NewJob) -> Lease {
    match store.create(job).await.unwrap() {
        Created::New { lease, .. } => lease,
        other => panic!("{other:?}"),
    }
}

async fn claim(store: &SqliteStore, limit: usize) -> Vec<Claim> {
    store.claim(&ClaimQuery::new(limit)).await.unwrap().jobs
}

async fn state(store: &SqliteStore, id: &JobId) -> Option<JobState> {
    let record = store.read(id, Detail::Status).await.unwrap();
    record.map(|record| record.state)
}

fn head() -> StoredResponse {
    StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), 0).finish(None)
}

fn done() -> Outcome {
    Outcome::Done(head())
}

fn streamed() -> Outcome {
    Outcome::Streamed {
        head: head(),
        chunks: CHUNKS,
        len: u64::from(CHUNKS) * CHUNK as u64,
    }
}

//! Jobs of stores without the layer.

use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode};
use http_polling::JobState;
use tower_async_job_core::{
    Claim, ClaimQuery, Created, Detail, IdempotencyKey, JobId, JobStore, Lease, NewJob, Outcome,
    ReplayedRequest, Start, StoredRequest, StoredResponse,
};
use tower_async_job_testkit::NotRun;

use crate::nodes::{Nodes, Settings};

/// The number of chunks of a result, and the bytes of each.
pub(crate) const CHUNKS: u32 = 3;
pub(crate) const CHUNK: usize = 20_000;

pub(crate) async fn open(data: &impl Nodes) -> Result<Arc<dyn JobStore>, NotRun> {
    data.open(Settings::default()).await
}

pub(crate) fn job(store: &dyn JobStore) -> NewJob {
    NewJob::new(store.new_id(None, None))
}

/// Returns a job with a key, whose text is a number.
pub(crate) fn keyed(store: &dyn JobStore, number: usize) -> NewJob {
    let key = key(number);
    NewJob::new(store.new_id(Some(&key), None)).with_idempotency(key)
}

pub(crate) fn key(number: usize) -> IdempotencyKey {
    IdempotencyKey::new(number.to_string(), [1; 32]).unwrap()
}

/// Returns a job whose request goes to this path, and may do so again.
pub(crate) fn replayable(store: &dyn JobStore, path: &str) -> NewJob {
    let mut request = ReplayedRequest::default();
    request.method = Method::POST;
    request.uri = path.parse().unwrap();
    job(store).with_request(StoredRequest::encode(&request))
}

pub(crate) async fn offer(store: &dyn JobStore) -> JobId {
    let job = replayable(store, "/again")
        .with_start(Start::Offered)
        .with_max_attempts(100);
    let id = job.id;
    let created = store.create(job).await.unwrap();
    assert!(matches!(created, Created::Offered { .. }));
    id
}

pub(crate) async fn add(store: &dyn JobStore, job: NewJob) -> Lease {
    match store.create(job).await.unwrap() {
        Created::New { lease, .. } => lease,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn claim(store: &dyn JobStore, limit: usize) -> Vec<Claim> {
    store.claim(&ClaimQuery::new(limit)).await.unwrap().jobs
}

pub(crate) async fn state(store: &dyn JobStore, id: &JobId) -> Option<JobState> {
    let record = store.read(id, Detail::Status).await.unwrap();
    record.map(|record| record.state)
}

pub(crate) fn head() -> StoredResponse {
    StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), 0).finish(None)
}

pub(crate) fn done() -> Outcome {
    Outcome::Done(head())
}

pub(crate) fn streamed() -> Outcome {
    Outcome::Streamed {
        head: head(),
        chunks: CHUNKS,
        len: u64::from(CHUNKS) * CHUNK as u64,
    }
}

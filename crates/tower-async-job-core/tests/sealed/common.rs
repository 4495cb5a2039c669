use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use http::{HeaderMap, StatusCode};
use http_polling::JobState;
use tower_async_job_core::{
    Claim, ClaimKind, ClaimQuery, Created, Detail, End, JobId, JobRecord, JobStore, Lease,
    MemoryStore, NewJob, Outcome, Release, Released, ReplayedRequest, Start, StoredRequest,
    StoredResponse,
};

pub(crate) const LEASE: Duration = Duration::from_secs(30);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) type Store = Arc<dyn JobStore>;

/// The clock of a store, which stands still unless moved.
#[derive(Clone)]
pub(crate) struct Pass(Arc<AtomicU64>);

impl Pass {
    pub(crate) fn by(&self, span: Duration) {
        self.0.fetch_add(span.as_micros() as u64, Ordering::Relaxed);
    }
}

/// Returns a store with leases of [`LEASE`] and chunks of 4 bytes.
pub(crate) fn memory() -> (Store, Pass) {
    let pass = Pass(Arc::default());
    let (start, micros) = (Instant::now(), Arc::clone(&pass.0));
    let now = move || start + Duration::from_micros(micros.load(Ordering::Relaxed));
    let builder = MemoryStore::builder().clock(now);
    let store = builder.lease_duration(LEASE).chunk_size(4).build();
    (Arc::new(store), pass)
}

pub(crate) fn request() -> StoredRequest {
    StoredRequest::encode(&ReplayedRequest::default())
}

pub(crate) fn job() -> NewJob {
    NewJob::new(JobId::random())
}

/// Returns a job that may be re-run.
pub(crate) fn replayable() -> NewJob {
    job().with_request(request())
}

pub(crate) fn offered() -> NewJob {
    replayable().with_start(Start::Offered)
}

pub(crate) async fn create(store: &Store, job: NewJob) -> Lease {
    match store.create(job).await {
        Ok(Created::New { lease, .. }) => lease,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn offer(store: &Store, job: NewJob) -> JobId {
    let id = job.id;
    let created = store.create(job).await.unwrap();
    assert!(matches!(created, Created::Offered { .. }), "{created:?}");
    id
}

pub(crate) fn response(body: &[u8]) -> StoredResponse {
    let mut recorder = StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), body.len());
    recorder.push(body).unwrap();
    recorder.finish(None)
}

pub(crate) fn done(body: &[u8]) -> End {
    Outcome::Done(response(body)).into()
}

pub(crate) async fn read(store: &Store, id: &JobId) -> Option<JobRecord> {
    store.read(id, Detail::Full).await.unwrap()
}

pub(crate) async fn state(store: &Store, id: &JobId) -> Option<JobState> {
    read(store, id).await.map(|record| record.state)
}

pub(crate) async fn claim(store: &Store) -> Option<Claim> {
    store.claim(&ClaimQuery::new(1)).await.unwrap().jobs.pop()
}

/// Claims all tasks of a kind.
pub(crate) async fn claim_all(store: &Store, kind: ClaimKind) -> Vec<Claim> {
    let query = ClaimQuery::new(100).with_kind(kind);
    store.claim(&query).await.unwrap().jobs
}

pub(crate) async fn release(store: &Store, lease: &Lease, how: Release) -> Released {
    let released = store.release(&[*lease], how).await.unwrap();
    assert_eq!(released.len(), 1);
    released[0]
}

//! A memory store with a clock that tests set.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use http::{HeaderMap, StatusCode};
use http_polling::{JobState, Problem, ProblemType};
use tower_async_job_core::{
    Created, Detail, End, JobId, JobRecord, JobStore, Lease, MemoryStore, MemoryStoreBuilder,
    NewJob, Outcome, Release, Released, ReplayedRequest, StoredRequest, StoredResponse,
};

pub(crate) const LEASE: Duration = Duration::from_secs(30);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub(crate) fn advance(&self, span: Duration) {
        self.0.fetch_add(span.as_micros() as u64, Ordering::Relaxed);
    }
}

/// Returns a store with leases of [`LEASE`], and its clock.
pub(crate) fn store() -> (MemoryStore, TestClock) {
    store_with(|builder| builder.lease_duration(LEASE))
}

pub(crate) fn store_with(
    configure: impl FnOnce(MemoryStoreBuilder) -> MemoryStoreBuilder,
) -> (MemoryStore, TestClock) {
    let clock = TestClock(Arc::default());
    let (start, micros) = (Instant::now(), Arc::clone(&clock.0));
    let now = move || start + Duration::from_micros(micros.load(Ordering::Relaxed));
    (configure(MemoryStore::builder().clock(now)).build(), clock)
}

pub(crate) fn job() -> NewJob {
    NewJob::new(JobId::random())
}

/// Returns a job that may be re-run.
pub(crate) fn replayable() -> NewJob {
    job().with_request(StoredRequest::encode(&ReplayedRequest::default()))
}

pub(crate) async fn create(store: &MemoryStore, job: NewJob) -> Lease {
    match store.create(job).await {
        Ok(Created::New { lease, .. }) => lease,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn done(body: &[u8]) -> End {
    let mut recorder = StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), body.len());
    recorder.push(body).unwrap();
    Outcome::Done(recorder.finish(None)).into()
}

pub(crate) fn failed() -> End {
    Outcome::Failed(Problem::new(ProblemType::JobFailed)).into()
}

pub(crate) async fn read(store: &MemoryStore, id: &JobId) -> Option<JobRecord> {
    store.read(id, Detail::Full).await.unwrap()
}

pub(crate) async fn state(store: &MemoryStore, id: &JobId) -> Option<JobState> {
    read(store, id).await.map(|record| record.state)
}

pub(crate) async fn release(store: &MemoryStore, lease: &Lease) -> Released {
    let released = store.release(&[*lease], Release::default()).await.unwrap();
    assert_eq!(released.len(), 1);
    released[0]
}

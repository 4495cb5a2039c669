//! A store of long results whose time is that of tokio.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tower_async_job_core::{
    ClaimQuery, Clock, Created, Detail, JobId, JobRecord, JobStore, Lease, MemoryStore, NewJob,
    Outcome, ReplayedRequest, Retention, StoreError, StoredRequest, StoredResponse, SweepQuery,
};
use tower_async_job_offload::Offloaded;
use tower_async_job_testkit::FaultyStore;

use crate::objects::Objects;

pub(crate) const LEASE: Duration = Duration::from_secs(30);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const CHUNK: usize = 1000;
/// The chunks of a long result.
pub(crate) const CHUNKS: u32 = 9;

/// The clock of tokio, which tests pause. Its first day is the first of January 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokioClock(Instant);

impl TokioClock {
    pub(crate) fn new() -> Self {
        Self(tokio::time::Instant::now().into_std())
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn system_time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.now().duration_since(self.0)
    }
}

pub(crate) type Store = Offloaded<Arc<dyn JobStore>>;

/// A store over one in memory, with a connection that fails on demand.
pub(crate) struct Setup {
    pub(crate) beneath: Arc<dyn JobStore>,
    pub(crate) faulty: FaultyStore,
    pub(crate) objects: Objects,
    pub(crate) clock: TokioClock,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let clock = TokioClock::new();
        let memory = MemoryStore::builder()
            .lease_duration(LEASE)
            .chunk_size(CHUNK)
            .clock(clock)
            .build();
        let beneath: Arc<dyn JobStore> = Arc::new(memory);
        Self {
            faulty: FaultyStore::new(beneath.clone()),
            beneath,
            objects: Objects::default(),
            clock,
        }
    }

    /// Returns a node of the store. Results of over three chunks are long, and parts have 2500 bytes.
    pub(crate) fn node(&self) -> Store {
        let builder = Offloaded::builder()
            .threshold(3 * CHUNK as u64)
            .any_part_size(2500)
            .clock(self.clock);
        builder
            .build(self.faulty.store(), self.objects.clone())
            .unwrap()
    }
}

pub(crate) fn job() -> NewJob {
    let request = StoredRequest::encode(&ReplayedRequest::default());
    NewJob::new(JobId::random())
        .with_request(request)
        .with_max_attempts(9)
        .with_retention(Retention::new(HOUR, HOUR))
        .with_deadline(999 * HOUR)
}

pub(crate) async fn create(store: &Store, job: NewJob) -> Lease {
    match store.create(job).await.unwrap() {
        Created::New { lease, .. } => lease,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn claim(store: &Store) -> Lease {
    let claims = store.claim(&ClaimQuery::new(1)).await.unwrap();
    claims.jobs[0].lease
}

/// Returns a chunk of the run with this mark; the last one is short.
pub(crate) fn chunk(index: u32, mark: u8) -> Bytes {
    let size = if index + 1 == CHUNKS { 10 } else { CHUNK };
    let mut data = vec![mark; size];
    data[0] = index as u8;
    data.into()
}

pub(crate) fn body(mark: u8) -> Vec<u8> {
    (0..CHUNKS).flat_map(|index| chunk(index, mark)).collect()
}

pub(crate) fn head() -> StoredResponse {
    StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), 0).finish(None)
}

pub(crate) fn streamed() -> Outcome {
    Outcome::Streamed {
        head: head(),
        chunks: CHUNKS,
        len: body(0).len() as u64,
    }
}

/// Writes all chunks, like the layer: until the lease is lost, each is repeated while the store is
/// unreachable.
pub(crate) async fn write(store: &Store, lease: &Lease, mark: u8) -> Result<(), StoreError> {
    for index in 0..CHUNKS {
        store.write_chunk(lease, index, chunk(index, mark)).await?;
    }
    Ok(())
}

pub(crate) async fn finish(store: &Store, lease: &Lease) -> Result<(), StoreError> {
    store.finish(lease, streamed().into()).await
}

/// Runs a job to its end.
pub(crate) async fn run(store: &Store, lease: &Lease, mark: u8) {
    write(store, lease, mark).await.unwrap();
    finish(store, lease).await.unwrap();
}

pub(crate) async fn record(store: &dyn JobStore, id: &JobId) -> Option<JobRecord> {
    store.read(id, Detail::Full).await.unwrap()
}

/// Reads the whole body of a result; `None` once a chunk is gone.
pub(crate) async fn read(store: &dyn JobStore, record: &JobRecord) -> Option<Vec<u8>> {
    let (mut body, result) = (Vec::new(), record.result.unwrap());
    for index in 0..result.chunks.unwrap() {
        body.extend(store.read_chunk(&result, index).await.unwrap()?);
    }
    Some(body)
}

pub(crate) async fn result(store: &Store, id: &JobId) -> Vec<u8> {
    let record = record(store, id).await.unwrap();
    read(store, &record).await.unwrap()
}

/// Lets the tasks of the store do what they can.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

pub(crate) async fn sweep(store: &Store) {
    store.sweep(&SweepQuery::default()).await.unwrap();
    settle().await;
}

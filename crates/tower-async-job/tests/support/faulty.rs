//! A store with faults on demand.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tower_async_job::store::{
    Detail, Interpose, Interposed, JobId, JobPage, JobQuery, JobRecord, JobStore, Lease,
    MemoryStore, RecordedOutcome, ResultRef, StoreFuture, StoreProperties, StoredResponse,
    SweepQuery, Upkeep, forward_job_store,
};
use tower_async_job_testkit as testkit;

pub(crate) use testkit::{Call as Op, Fault};

use super::memory;

/// A memory store behind a connection with a script of faults for each method, and without faults
/// after its end. Several nodes may share one.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    memory: Arc<Interposed<Memory>>,
    connection: testkit::FaultyStore,
    store: Arc<dyn JobStore>,
}

forward_job_store! { { impl JobStore for FaultyStore } this => this.store }

impl Deref for FaultyStore {
    type Target = Memory;

    fn deref(&self) -> &Memory {
        self.memory.get_ref()
    }
}

/// The store behind the connection.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) inner: MemoryStore,
    /// The number of unreadable jobs on each page of the list.
    pub(crate) unreadable: AtomicUsize,
    /// The store after a failover.
    replica: MemoryStore,
    failed_over: AtomicBool,
    properties: StoreProperties,
    /// The number of nodes in the result of sweeps.
    pub(crate) nodes: AtomicU32,
    /// The bytes of all written chunks.
    pub(crate) written: AtomicUsize,
    /// The bytes of all chunks read and not dropped.
    pub(crate) lent: Arc<AtomicUsize>,
}

/// A chunk that is counted until it is dropped.
struct Lent(Bytes, Arc<AtomicUsize>);

impl Lent {
    fn new(data: Bytes, lent: &Arc<AtomicUsize>) -> Self {
        lent.fetch_add(data.len(), Ordering::SeqCst);
        Self(data, lent.clone())
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.1.fetch_sub(self.0.len(), Ordering::SeqCst);
    }
}

/// Removes the body of a result, like a store that keeps it separately.
fn without_body(mut record: JobRecord) -> JobRecord {
    if let Some(RecordedOutcome::Response(response)) = &record.outcome {
        let whole = response.decode().expect("a response");
        let head = StoredResponse::recorder(whole.status, &whole.headers, 0);
        let head = head.finish(whole.trailers.as_ref());
        record.outcome = Some(RecordedOutcome::Head(head));
    }
    record
}

impl FaultyStore {
    pub(crate) fn new(inner: MemoryStore) -> Self {
        let properties = inner.properties().clone();
        Self::with(inner, properties)
    }

    /// Creates a shared store with leases of this duration.
    pub(crate) fn shared(lease: Duration) -> Self {
        Self::shared_over(memory().lease_duration(lease).build())
    }

    /// Creates a shared store over this one.
    pub(crate) fn shared_over(inner: MemoryStore) -> Self {
        let properties = inner.properties().clone().with_shared(true);
        Self::with(inner, properties)
    }

    fn with(inner: MemoryStore, properties: StoreProperties) -> Self {
        let replica = match properties.lease {
            Some(lease) => memory().lease_duration(lease),
            None => memory(),
        };
        let memory = Arc::new(Interposed::new(Memory {
            inner,
            unreadable: AtomicUsize::default(),
            replica: replica.build(),
            failed_over: AtomicBool::new(false),
            properties,
            nodes: AtomicU32::new(1),
            written: AtomicUsize::default(),
            lent: Arc::default(),
        }));
        let connection = testkit::FaultyStore::new(memory.clone());
        Self {
            memory,
            store: connection.store(),
            connection,
        }
    }

    /// Adds to the script of a method.
    pub(crate) fn then(self, op: Op, fault: Fault) -> Self {
        self.times(op, fault, 1)
    }

    pub(crate) fn times(self, op: Op, fault: Fault, times: usize) -> Self {
        self.plan(op, fault, times);
        self
    }

    pub(crate) fn plan(&self, op: Op, fault: Fault, times: usize) {
        self.connection.plan(op, fault, times);
    }

    /// Returns the number of calls of a method whose future was polled.
    pub(crate) fn calls(&self, op: Op) -> usize {
        self.connection.calls(op)
    }

    /// Returns the number of all calls.
    pub(crate) fn all_calls(&self) -> usize {
        self.connection.all_calls()
    }
}

impl Memory {
    /// Fails over to a replica that has received none of the writes.
    pub(crate) fn fail_over(&self) {
        self.failed_over.store(true, Ordering::SeqCst);
    }

    /// Returns the current store.
    pub(crate) fn now(&self) -> &MemoryStore {
        match self.failed_over.load(Ordering::SeqCst) {
            true => &self.replica,
            false => &self.inner,
        }
    }

    /// Returns the number of jobs.
    pub(crate) async fn jobs(&self) -> usize {
        self.listed(&JobQuery::default()).await
    }

    /// Returns the number of jobs in a state.
    pub(crate) async fn jobs_in(&self, state: http_polling::JobState) -> usize {
        self.listed(&JobQuery::default().with_state(state)).await
    }

    async fn listed(&self, query: &JobQuery) -> usize {
        self.now().list(query).await.expect("memory").jobs.len()
    }
}

impl Interpose for Memory {
    fn inner(&self) -> &dyn JobStore {
        self.now()
    }

    fn properties(&self) -> &StoreProperties {
        &self.properties
    }

    fn write_chunk<'a>(&'a self, lease: &'a Lease, index: u32, data: Bytes) -> StoreFuture<'a, ()> {
        let len = data.len();
        let written = self.now().write_chunk(lease, index, data);
        Box::pin(async move {
            written.await?;
            self.written.fetch_add(len, Ordering::SeqCst);
            Ok(())
        })
    }

    fn read<'a>(&'a self, id: &'a JobId, detail: Detail) -> StoreFuture<'a, Option<JobRecord>> {
        let read = self.now().read(id, detail);
        Box::pin(async move {
            let record = read.await?;
            Ok(match detail {
                Detail::Head => record.map(without_body),
                _ => record,
            })
        })
    }

    fn read_chunk<'a>(
        &'a self,
        result: &'a ResultRef,
        index: u32,
    ) -> StoreFuture<'a, Option<Bytes>> {
        let read = self.now().read_chunk(result, index);
        Box::pin(async move {
            let lend = |data| Bytes::from_owner(Lent::new(data, &self.lent));
            Ok(read.await?.map(lend))
        })
    }

    fn sweep<'a>(&'a self, query: &'a SweepQuery) -> StoreFuture<'a, Upkeep> {
        Box::pin(async move {
            let mut upkeep = self.now().sweep(query).await?;
            upkeep.nodes = self.nodes.load(Ordering::SeqCst);
            Ok(upkeep)
        })
    }

    fn list<'a>(&'a self, query: &'a JobQuery) -> StoreFuture<'a, JobPage> {
        Box::pin(async {
            let mut page = self.now().list(query).await?;
            page.unreadable = self.unreadable.load(Ordering::SeqCst);
            Ok(page)
        })
    }
}

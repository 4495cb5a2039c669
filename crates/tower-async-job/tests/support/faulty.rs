//! A store with faults on demand.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tower_async_job::store::{
    Cancellation, Claim, ClaimQuery, Claims, Created, Detail, End, IdempotencyKey, JobHandle,
    JobId, JobPage, JobQuery, JobRecord, JobStore, Lease, MemoryStore, NewJob, Outside, Principal,
    RecordedOutcome, Release, Released, Renewal, Report, ResultRef, StoreError, StoreFuture,
    StoreProperties, StoredResponse, Subscription, Upkeep,
};

use super::memory;

/// A method of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Create,
    LookUp,
    Start,
    Renew,
    Report,
    WriteChunk,
    Finish,
    Release,
    Discard,
    Read,
    ReadChunk,
    Cancel,
    Remove,
    Sweep,
    Find,
    List,
}

/// The fault of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The call fails without effect.
    Unavailable,
    Full,
    /// The stored data is damaged.
    Corrupt,
    /// The stored data has an unknown format.
    Unsupported,
    /// The call takes effect after a time.
    Late(Duration),
    /// The call has no effect and never answers.
    Hangs,
    /// The call takes effect, and its answer is lost.
    Unacknowledged,
    Panics,
    /// No fault this time.
    None,
}

/// A memory store with a script of faults for each method, and without faults after its end. Several
/// nodes may share one.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    pub(crate) inner: MemoryStore,
    /// The number of unreadable jobs on each page of the list.
    pub(crate) unreadable: AtomicUsize,
    /// The store after a failover.
    replica: MemoryStore,
    failed_over: AtomicBool,
    properties: StoreProperties,
    /// The number of nodes in the result of sweeps.
    pub(crate) nodes: AtomicU32,
    script: Mutex<HashMap<Op, VecDeque<Fault>>>,
    calls: Mutex<HashMap<Op, usize>>,
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
        let replica = match properties.lease {
            Some(lease) => memory().lease_duration(lease),
            None => memory(),
        };
        Self {
            inner,
            unreadable: AtomicUsize::default(),
            replica: replica.build(),
            failed_over: AtomicBool::new(false),
            properties,
            nodes: AtomicU32::new(1),
            script: Mutex::default(),
            calls: Mutex::default(),
            written: AtomicUsize::default(),
            lent: Arc::default(),
        }
    }

    /// Creates a shared store with leases of this duration.
    pub(crate) fn shared(lease: Duration) -> Self {
        Self::new(memory().lease_duration(lease).build()).sharing()
    }

    /// Makes the store a shared one.
    pub(crate) fn sharing(mut self) -> Self {
        self.properties.shared = true;
        self
    }

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

    /// Adds to the script of a method.
    pub(crate) fn then(self, op: Op, fault: Fault) -> Self {
        self.times(op, fault, 1)
    }

    pub(crate) fn times(self, op: Op, fault: Fault, times: usize) -> Self {
        self.plan(op, fault, times);
        self
    }

    pub(crate) fn plan(&self, op: Op, fault: Fault, times: usize) {
        let mut script = self.script.lock().expect("unpoisoned");
        script
            .entry(op)
            .or_default()
            .extend(std::iter::repeat_n(fault, times));
    }

    /// Returns the number of calls of a method whose future was polled.
    pub(crate) fn calls(&self, op: Op) -> usize {
        self.calls
            .lock()
            .expect("unpoisoned")
            .get(&op)
            .copied()
            .unwrap_or(0)
    }

    /// Returns the number of all calls.
    pub(crate) fn all_calls(&self) -> usize {
        self.calls.lock().expect("unpoisoned").values().sum()
    }

    /// Returns the number of jobs.
    pub(crate) async fn jobs(&self) -> usize {
        self.now()
            .list(&JobQuery::default())
            .await
            .expect("memory")
            .jobs
            .len()
    }

    /// Returns the number of jobs in a state.
    pub(crate) async fn jobs_in(&self, state: http_polling::JobState) -> usize {
        let query = JobQuery::default().with_state(state);
        self.now().list(&query).await.expect("memory").jobs.len()
    }

    fn perform<'a, T: Send + 'a>(&'a self, op: Op, call: StoreFuture<'a, T>) -> StoreFuture<'a, T> {
        Box::pin(async move {
            *self
                .calls
                .lock()
                .expect("unpoisoned")
                .entry(op)
                .or_default() += 1;
            let fault = self
                .script
                .lock()
                .expect("unpoisoned")
                .get_mut(&op)
                .and_then(VecDeque::pop_front);
            match fault.unwrap_or(Fault::None) {
                Fault::Unavailable => Err(StoreError::unavailable("out of reach")),
                Fault::Full => Err(StoreError::full()),
                Fault::Corrupt => Err(StoreError::corrupt("a length is wrong")),
                Fault::Unsupported => Err(StoreError::unsupported_version(99)),
                Fault::Late(time) => {
                    tokio::time::sleep(time).await;
                    call.await
                }
                Fault::Hangs => std::future::pending().await,
                Fault::Unacknowledged => {
                    call.await?;
                    Err(StoreError::unavailable("the answer was lost"))
                }
                Fault::Panics => panic!("the store panics"),
                Fault::None => call.await,
            }
        })
    }
}

impl JobStore for FaultyStore {
    fn properties(&self) -> &StoreProperties {
        &self.properties
    }

    fn create(&self, job: NewJob) -> StoreFuture<'_, Created> {
        self.perform(Op::Create, self.now().create(job))
    }

    fn look_up<'a>(
        &'a self,
        principal: Option<&'a Principal>,
        key: &'a IdempotencyKey,
    ) -> StoreFuture<'a, Option<Created>> {
        self.perform(Op::LookUp, self.now().look_up(principal, key))
    }

    fn start<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
        self.perform(Op::Start, self.now().start(lease))
    }

    fn renew<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, Vec<Renewal>> {
        self.perform(Op::Renew, self.now().renew(leases))
    }

    fn report<'a>(&'a self, lease: &'a Lease, report: Report) -> StoreFuture<'a, ()> {
        self.perform(Op::Report, self.now().report(lease, report))
    }

    fn write_chunk<'a>(&'a self, lease: &'a Lease, index: u32, data: Bytes) -> StoreFuture<'a, ()> {
        let len = data.len();
        let written = self.perform(Op::WriteChunk, self.now().write_chunk(lease, index, data));
        Box::pin(async move {
            written.await?;
            self.written.fetch_add(len, Ordering::SeqCst);
            Ok(())
        })
    }

    fn finish<'a>(&'a self, lease: &'a Lease, end: End) -> StoreFuture<'a, ()> {
        self.perform(Op::Finish, self.now().finish(lease, end))
    }

    fn release<'a>(&'a self, leases: &'a [Lease], how: Release) -> StoreFuture<'a, Vec<Released>> {
        self.perform(Op::Release, self.now().release(leases, how))
    }

    fn resume<'a>(&'a self, id: &'a JobId, token: &'a [u8; 32]) -> StoreFuture<'a, Option<Claim>> {
        self.now().resume(id, token)
    }

    fn renew_outside<'a>(
        &'a self,
        id: &'a JobId,
        outside: Outside,
        report: Report,
    ) -> StoreFuture<'a, Renewal> {
        self.now().renew_outside(id, outside, report)
    }

    fn discard<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
        self.perform(Op::Discard, self.now().discard(lease))
    }

    fn read<'a>(&'a self, id: &'a JobId, detail: Detail) -> StoreFuture<'a, Option<JobRecord>> {
        let read = self.perform(Op::Read, self.now().read(id, detail));
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
        let read = self.perform(Op::ReadChunk, self.now().read_chunk(result, index));
        Box::pin(async move {
            let lend = |data| Bytes::from_owner(Lent::new(data, &self.lent));
            Ok(read.await?.map(lend))
        })
    }

    fn note_delivery(&self, id: &JobId, keep: Option<Duration>) {
        self.now().note_delivery(id, keep);
    }

    fn subscribe(&self, id: &JobId) -> Subscription {
        self.now().subscribe(id)
    }

    fn cancel<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, Cancellation> {
        self.perform(Op::Cancel, self.now().cancel(id))
    }

    fn remove<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, bool> {
        self.perform(Op::Remove, self.now().remove(id))
    }

    fn extend<'a>(&'a self, id: &'a JobId, keep: Duration) -> StoreFuture<'a, bool> {
        self.now().extend(id, keep)
    }

    fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
        self.now().claim(query)
    }

    fn notified<'a>(&'a self, lease: &'a Lease, again: Option<Duration>) -> StoreFuture<'a, ()> {
        self.now().notified(lease, again)
    }

    fn work(&self) -> Subscription {
        self.now().work()
    }

    fn sweep(&self) -> StoreFuture<'_, Upkeep> {
        Box::pin(async {
            let mut upkeep = self.perform(Op::Sweep, self.now().sweep()).await?;
            upkeep.nodes = self.nodes.load(Ordering::SeqCst);
            Ok(upkeep)
        })
    }

    fn find(&self, handle: JobHandle) -> StoreFuture<'_, Option<JobId>> {
        self.perform(Op::Find, self.now().find(handle))
    }

    fn list<'a>(&'a self, query: &'a JobQuery) -> StoreFuture<'a, JobPage> {
        Box::pin(async {
            let mut page = self.perform(Op::List, self.now().list(query)).await?;
            page.unreadable = self.unreadable.load(Ordering::SeqCst);
            Ok(page)
        })
    }
}

//! A store that misbehaves when told to.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
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
    Discard,
    Read,
    ReadChunk,
    Cancel,
    Remove,
    Sweep,
    Find,
    List,
}

/// What goes wrong in one call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// Nothing is done.
    Unavailable,
    Full,
    /// It is done, after a time.
    Late(Duration),
    /// It is done, and the acknowledgement is lost.
    Unacknowledged,
    Panics,
    /// Nothing goes wrong this time.
    None,
}

/// A memory store with a script of faults for each method; all is well where the script ends.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    pub(crate) inner: MemoryStore,
    script: Mutex<HashMap<Op, VecDeque<Fault>>>,
    calls: Mutex<HashMap<Op, usize>>,
    /// The bytes of all chunks that were written.
    pub(crate) written: AtomicUsize,
    /// The bytes of all chunks that were read and not dropped yet.
    pub(crate) lent: Arc<AtomicUsize>,
}

/// A chunk that was read.
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

/// Leaves out the body of a result, as a store may that has it apart.
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
        Self {
            inner,
            script: Mutex::default(),
            calls: Mutex::default(),
            written: AtomicUsize::default(),
            lent: Arc::default(),
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

    /// How often a method was called, and its future polled.
    pub(crate) fn calls(&self, op: Op) -> usize {
        self.calls
            .lock()
            .expect("unpoisoned")
            .get(&op)
            .copied()
            .unwrap_or(0)
    }

    /// How often any method was called.
    pub(crate) fn all_calls(&self) -> usize {
        self.calls.lock().expect("unpoisoned").values().sum()
    }

    /// How many jobs there are.
    pub(crate) async fn jobs(&self) -> usize {
        self.inner
            .list(&JobQuery::default())
            .await
            .expect("memory")
            .jobs
            .len()
    }

    /// How many jobs of a state there are.
    pub(crate) async fn jobs_in(&self, state: http_polling::JobState) -> usize {
        let query = JobQuery::default().with_state(state);
        self.inner.list(&query).await.expect("memory").jobs.len()
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
                Fault::Late(time) => {
                    tokio::time::sleep(time).await;
                    call.await
                }
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
        self.inner.properties()
    }

    fn create(&self, job: NewJob) -> StoreFuture<'_, Created> {
        self.perform(Op::Create, self.inner.create(job))
    }

    fn look_up<'a>(
        &'a self,
        principal: Option<&'a Principal>,
        key: &'a IdempotencyKey,
    ) -> StoreFuture<'a, Option<Created>> {
        self.perform(Op::LookUp, self.inner.look_up(principal, key))
    }

    fn start<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
        self.perform(Op::Start, self.inner.start(lease))
    }

    fn renew<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, Vec<Renewal>> {
        self.perform(Op::Renew, self.inner.renew(leases))
    }

    fn report<'a>(&'a self, lease: &'a Lease, report: Report) -> StoreFuture<'a, ()> {
        self.perform(Op::Report, self.inner.report(lease, report))
    }

    fn write_chunk<'a>(&'a self, lease: &'a Lease, index: u32, data: Bytes) -> StoreFuture<'a, ()> {
        let len = data.len();
        let written = self.perform(Op::WriteChunk, self.inner.write_chunk(lease, index, data));
        Box::pin(async move {
            written.await?;
            self.written.fetch_add(len, Ordering::SeqCst);
            Ok(())
        })
    }

    fn finish<'a>(&'a self, lease: &'a Lease, end: End) -> StoreFuture<'a, ()> {
        self.perform(Op::Finish, self.inner.finish(lease, end))
    }

    fn release<'a>(&'a self, leases: &'a [Lease], how: Release) -> StoreFuture<'a, Vec<Released>> {
        self.inner.release(leases, how)
    }

    fn resume<'a>(&'a self, id: &'a JobId, token: &'a [u8; 32]) -> StoreFuture<'a, Option<Claim>> {
        self.inner.resume(id, token)
    }

    fn renew_outside<'a>(
        &'a self,
        id: &'a JobId,
        outside: Outside,
        report: Report,
    ) -> StoreFuture<'a, Renewal> {
        self.inner.renew_outside(id, outside, report)
    }

    fn discard<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
        self.perform(Op::Discard, self.inner.discard(lease))
    }

    fn read<'a>(&'a self, id: &'a JobId, detail: Detail) -> StoreFuture<'a, Option<JobRecord>> {
        let read = self.perform(Op::Read, self.inner.read(id, detail));
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
        let read = self.perform(Op::ReadChunk, self.inner.read_chunk(result, index));
        Box::pin(async move {
            let lend = |data| Bytes::from_owner(Lent::new(data, &self.lent));
            Ok(read.await?.map(lend))
        })
    }

    fn note_delivery(&self, id: &JobId, keep: Option<Duration>) {
        self.inner.note_delivery(id, keep);
    }

    fn subscribe(&self, id: &JobId) -> Subscription {
        self.inner.subscribe(id)
    }

    fn cancel<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, Cancellation> {
        self.perform(Op::Cancel, self.inner.cancel(id))
    }

    fn remove<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, bool> {
        self.perform(Op::Remove, self.inner.remove(id))
    }

    fn extend<'a>(&'a self, id: &'a JobId, keep: Duration) -> StoreFuture<'a, bool> {
        self.inner.extend(id, keep)
    }

    fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
        self.inner.claim(query)
    }

    fn notified<'a>(&'a self, lease: &'a Lease, again: Option<Duration>) -> StoreFuture<'a, ()> {
        self.inner.notified(lease, again)
    }

    fn work(&self) -> Subscription {
        self.inner.work()
    }

    fn sweep(&self) -> StoreFuture<'_, Upkeep> {
        self.perform(Op::Sweep, self.inner.sweep())
    }

    fn find(&self, handle: JobHandle) -> StoreFuture<'_, Option<JobId>> {
        self.perform(Op::Find, self.inner.find(handle))
    }

    fn list<'a>(&'a self, query: &'a JobQuery) -> StoreFuture<'a, JobPage> {
        self.perform(Op::List, self.inner.list(query))
    }
}

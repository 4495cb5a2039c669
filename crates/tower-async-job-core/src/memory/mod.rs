//! The in-memory store.

mod budget;
mod builder;
mod chunks;
mod clock;
mod creating;
mod entries;
mod entry;
mod handover;
mod jobs;
mod keys;
mod listing;
mod pace;
mod queue;
mod room;
mod shard;
mod table;
mod upkeep;

use std::{fmt, time::Duration};

use bytes::Bytes;

pub use self::{
    builder::MemoryStoreBuilder,
    clock::{Clock, SystemClock},
};

use self::{budget::Room, jobs::Jobs};
use crate::{
    claim::{Claim, ClaimQuery, Claims},
    end::{End, Outcome, Report},
    error::StoreError,
    id::{JobHandle, JobId},
    job::NewJob,
    lease::{Lease, Outside, Release, Released, Renewal},
    owner::{IdempotencyKey, Principal},
    properties::{StoreProperties, SweepQuery, Upkeep, Usage},
    query::{JobPage, JobQuery},
    record::{Cancellation, Created, Detail, JobRecord, ResultRef},
    store::{JobStore, StoreFuture},
    subscription::Subscription,
};

/// A store that keeps jobs in memory: the default, for one process. Its jobs end with the process.
///
/// Everything has a limit; see the [builder](MemoryStoreBuilder). Beyond the number of jobs or
/// bytes, it drops results that were [delivered](JobStore::note_delivery) over 60 s ago, oldest
/// first, or else refuses new data with [`is_full`](StoreError::is_full). Undelivered results are
/// never dropped before their retention is over. Beyond the number of tombstones, it forgets those
/// that would expire first. A problem document as an outcome is always stored.
///
/// It has no task and no timer: results are never served beyond their retention, but their memory
/// is freed only by a call of [`sweep`](JobStore::sweep), or when room is needed. No future of its
/// methods waits for anything. Those with much work, such as [`sweep`](JobStore::sweep) and
/// [`list`](JobStore::list), yield to other tasks after about 20 µs of work.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), tower_async_job_core::StoreError> {
/// use tower_async_job_core::{Cancellation, JobId, JobStore, MemoryStore, NewJob};
///
/// let store = MemoryStore::new();
/// let id = JobId::random();
/// store.create(NewJob::new(id)).await?;
/// assert!(matches!(store.cancel(&id).await?, Cancellation::Cancelled { .. }));
/// store.subscribe(&id).await;
/// # Ok(()) }
/// ```
pub struct MemoryStore {
    jobs: Jobs,
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("properties", &self.jobs.properties)
            .finish_non_exhaustive()
    }
}

impl JobStore for MemoryStore {
    fn properties(&self) -> &StoreProperties {
        &self.jobs.properties
    }

    fn create(&self, job: NewJob) -> StoreFuture<'_, Created> {
        Box::pin(self.jobs.create_with_room(job))
    }

    fn create_now(&self, job: NewJob) -> Result<Result<Created, StoreError>, NewJob> {
        match self.jobs.budget.reserve(Room::of_job(&job)) {
            Some(room) => Ok(self.jobs.create(job, Ok(room))),
            // Room may have to be made.
            None => Err(job),
        }
    }

    fn look_up<'a>(
        &'a self,
        principal: Option<&'a Principal>,
        key: &'a IdempotencyKey,
    ) -> StoreFuture<'a, Option<Created>> {
        Box::pin(async move { Ok(self.jobs.look_up(principal, key)) })
    }

    fn start<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
        Box::pin(async move { self.jobs.start(lease) })
    }

    fn renew<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, Vec<Renewal>> {
        Box::pin(async move { Ok(self.jobs.renew_all(leases).await) })
    }

    fn report<'a>(&'a self, lease: &'a Lease, report: Report) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let room = self.jobs.reserve(Room::of_report(&report)).await;
            self.jobs.report(lease, report, room)
        })
    }

    fn write_chunk<'a>(&'a self, lease: &'a Lease, index: u32, data: Bytes) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let room = self.jobs.reserve(Room::of_bytes(data.len())).await;
            self.jobs.held(lease, |_| Ok(()))?;
            room?.spend();
            self.jobs
                .chunks
                .write(lease, index, data, &self.jobs.budget);
            Ok(())
        })
    }

    fn finish<'a>(&'a self, lease: &'a Lease, mut end: End) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let room = self.jobs.reserve_end(lease, &mut end).await;
            let in_chunks = matches!(end.outcome, Outcome::Streamed { .. });
            self.jobs.finish(lease, end, room)?;
            if self.jobs.properties.chunk.is_some() && !in_chunks {
                // No reader knows of chunks that may exist.
                self.jobs.chunks.discard(lease, &self.jobs.budget);
            }
            Ok(())
        })
    }

    fn reserve<'a>(&'a self, lease: &'a Lease, bytes: usize) -> StoreFuture<'a, ()> {
        Box::pin(self.jobs.reserve_result(lease, bytes))
    }

    fn check_room(&self, bytes: usize) -> Result<(), StoreError> {
        self.jobs.check_room(Room { jobs: 1, bytes })
    }

    fn note_delivery(&self, id: &JobId, keep: Option<Duration>) {
        self.jobs.note_delivery(id, keep);
    }

    fn usage(&self) -> Option<Usage> {
        Some(self.jobs.budget.usage())
    }

    fn release<'a>(&'a self, leases: &'a [Lease], how: Release) -> StoreFuture<'a, Vec<Released>> {
        Box::pin(async move { Ok(self.jobs.release(leases, &how).await) })
    }

    fn resume<'a>(&'a self, id: &'a JobId, token: &'a [u8; 32]) -> StoreFuture<'a, Option<Claim>> {
        Box::pin(async move { Ok(self.jobs.resume(id, token)) })
    }

    fn renew_outside<'a>(
        &'a self,
        id: &'a JobId,
        outside: Outside,
        report: Report,
    ) -> StoreFuture<'a, Renewal> {
        Box::pin(async move {
            let room = self.jobs.reserve(Room::of_report(&report)).await;
            self.jobs.renew_outside(id, &outside, report, room)
        })
    }

    fn discard<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
        Box::pin(async move { self.jobs.discard(lease) })
    }

    fn read<'a>(&'a self, id: &'a JobId, detail: Detail) -> StoreFuture<'a, Option<JobRecord>> {
        Box::pin(async move { Ok(self.jobs.read(id, detail)) })
    }

    fn read_now(
        &self,
        id: &JobId,
        detail: Detail,
    ) -> Option<Result<Option<JobRecord>, StoreError>> {
        Some(Ok(self.jobs.read(id, detail)))
    }

    fn read_chunk<'a>(
        &'a self,
        result: &'a ResultRef,
        index: u32,
    ) -> StoreFuture<'a, Option<Bytes>> {
        Box::pin(async move {
            let now = self.jobs.now();
            Ok(self.jobs.chunks.read(&result.lease, index, now))
        })
    }

    fn subscribe(&self, id: &JobId) -> Subscription {
        self.jobs.subscribe(id)
    }

    fn cancel<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, Cancellation> {
        Box::pin(async move { Ok(self.jobs.cancel(id)) })
    }

    fn remove<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, bool> {
        Box::pin(async move { Ok(self.jobs.remove(id)) })
    }

    fn extend<'a>(&'a self, id: &'a JobId, keep: Duration) -> StoreFuture<'a, bool> {
        Box::pin(async move { Ok(self.jobs.extend(id, keep)) })
    }

    fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
        Box::pin(async move { Ok(self.jobs.claim(query).await) })
    }

    fn notified<'a>(&'a self, lease: &'a Lease, again: Option<Duration>) -> StoreFuture<'a, ()> {
        Box::pin(async move { self.jobs.notified(lease, again) })
    }

    fn work(&self) -> Subscription {
        self.jobs.work()
    }

    fn sweep<'a>(&'a self, query: &'a SweepQuery) -> StoreFuture<'a, Upkeep> {
        Box::pin(async move { Ok(self.jobs.sweep(query).await) })
    }

    fn find(&self, handle: JobHandle) -> StoreFuture<'_, Option<JobId>> {
        Box::pin(async move { Ok(self.jobs.find(handle).await) })
    }

    fn list<'a>(&'a self, query: &'a JobQuery) -> StoreFuture<'a, JobPage> {
        Box::pin(async move { Ok(self.jobs.list(query).await) })
    }
}

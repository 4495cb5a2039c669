//! The store that keeps all jobs in the memory of its process.

mod budget;
mod clock;
mod ended;
mod entries;
mod entry;
mod jobs;
mod keys;
mod listing;
mod pace;
mod room;
mod shard;
mod table;
mod upkeep;
mod wake;

use std::{fmt, sync::Arc, time::Duration};

pub use clock::{Clock, SystemClock};

use self::{
    budget::{Budget, Room},
    ended::Ended,
    jobs::Jobs,
};
use crate::{
    BoxFuture, Cancellation, Claim, Created, Detail, IdempotencyKey, JobHandle, JobId, JobPage,
    JobQuery, JobRecord, JobStore, Lease, NewJob, Outcome, Principal, Renewal, Report, StoreError,
    Usage,
};

/// Keeps jobs in memory: the default store, for one process. When the process ends, so do its
/// jobs.
///
/// Everything has a limit, see the [builder](MemoryStoreBuilder). Beyond the number of jobs or of
/// bytes it drops results that were [delivered](JobStore::note_delivery) over 60 s ago, the oldest
/// first, and else refuses what is new with [`is_full`](StoreError::is_full): what was not
/// delivered is never dropped before its retention is over. Beyond the number of tombstones it
/// forgets those that would be forgotten first. A problem document as an outcome is always stored.
///
/// It has no task and no timer: results are never served beyond their retention, but their memory
/// is given back only when somebody calls [`sweep`](JobStore::sweep), or when room is wanted.
/// No future of its methods waits for anything, other than that of [`ended`](JobStore::ended).
/// Those that may have much to do, such as [`sweep`](JobStore::sweep) and
/// [`list`](JobStore::list), give other tasks a turn after some 20 µs of work each.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), tower_async_job_core::StoreError> {
/// use tower_async_job_core::{Cancellation, JobId, JobStore, MemoryStore, NewJob};
///
/// let store = MemoryStore::new();
/// let id = JobId::random();
/// store.create(NewJob::new(id)).await?;
/// assert_eq!(store.cancel(&id).await?, Cancellation::Cancelled);
/// store.ended(&id).await?;
/// # Ok(()) }
/// ```
pub struct MemoryStore {
    jobs: Jobs,
}

impl MemoryStore {
    /// A store with the default limits.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A store with limits to be set.
    pub fn builder() -> MemoryStoreBuilder {
        MemoryStoreBuilder::default()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("lease_duration", &self.jobs.lease)
            .finish_non_exhaustive()
    }
}

/// Sets the limits of a [`MemoryStore`].
///
/// ```
/// use std::time::Duration;
/// use tower_async_job_core::{JobStore, MemoryStore};
///
/// let store = MemoryStore::builder()
///     .max_jobs(10_000)
///     .max_bytes(64 << 20)
///     .lease_duration(Duration::from_secs(30))
///     .build();
/// assert_eq!(store.lease_duration(), Some(Duration::from_secs(30)));
/// ```
#[must_use]
pub struct MemoryStoreBuilder {
    max_jobs: usize,
    max_bytes: usize,
    max_tombstones: usize,
    lease: Option<Duration>,
    shards: Option<usize>,
    clock: Arc<dyn Clock>,
    #[cfg(http_polling_loom)]
    looks_before_subscribing: bool,
}

impl Default for MemoryStoreBuilder {
    fn default() -> Self {
        Self {
            max_jobs: 100_000,
            max_bytes: 256 << 20,
            max_tombstones: 100_000,
            lease: None,
            shards: None,
            clock: Arc::new(SystemClock),
            #[cfg(http_polling_loom)]
            looks_before_subscribing: false,
        }
    }
}

impl MemoryStoreBuilder {
    /// How many jobs there may be, those included whose result is kept; 100,000 by default.
    pub fn max_jobs(mut self, jobs: usize) -> Self {
        self.max_jobs = jobs;
        self
    }

    /// The number of bytes that all jobs may have, of requests, results, room reserved for results, partial
    /// results, metadata, messages, routes, principals and keys; 256 MiB by default.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How many expired jobs are remembered; 100,000 by default.
    pub fn max_tombstones(mut self, tombstones: usize) -> Self {
        self.max_tombstones = tombstones;
        self
    }

    /// How long a lease lasts without being renewed. By default leases last as long as the
    /// process, since a worker of the same process does not vanish.
    pub fn lease_duration(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Sets into how many separately locked parts the jobs are divided: 1 to 65,536. By default
    /// there is one for every 2,048 jobs of [`max_jobs`](Self::max_jobs), though 64 at least and
    /// 1,024 at most.
    ///
    /// When the jobs of a part become more, its indexes are built anew while it is locked: about
    /// 0.1 ms for 4,096 jobs, and in proportion for more.
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = Some(shards.clamp(1, 1 << 16));
        self
    }

    /// By which clock times are reckoned; the machine's by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Lets waiters look at a job before they subscribe to it, which loses wake-ups. There to
    /// prove that the model checker finds this.
    #[cfg(http_polling_loom)]
    #[doc(hidden)]
    pub fn looking_before_subscribing(mut self) -> Self {
        self.looks_before_subscribing = true;
        self
    }

    /// The store.
    #[must_use]
    pub fn build(self) -> MemoryStore {
        let shards = self
            .shards
            .unwrap_or((self.max_jobs / 2048).clamp(64, 1024));
        let budget = Budget::new(self.max_jobs, self.max_bytes, self.max_tombstones);
        #[cfg_attr(not(http_polling_loom), expect(unused_mut))]
        let mut jobs = Jobs::new(shards, budget, self.clock, self.lease);
        #[cfg(http_polling_loom)]
        {
            jobs.looks_before_subscribing = self.looks_before_subscribing;
        }
        MemoryStore { jobs }
    }
}

impl fmt::Debug for MemoryStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStoreBuilder")
            .field("max_jobs", &self.max_jobs)
            .field("max_bytes", &self.max_bytes)
            .field("max_tombstones", &self.max_tombstones)
            .field("lease_duration", &self.lease)
            .field("shards", &self.shards)
            .finish_non_exhaustive()
    }
}

impl JobStore for MemoryStore {
    fn create(&self, job: NewJob) -> BoxFuture<'_, Result<Created, StoreError>> {
        Box::pin(async move {
            let room = Room::of_job(&job);
            if !self.jobs.budget.has(room)
                && let Some(existing) = self.jobs.created_before(&job)
            {
                // It needs no room, and nothing is dropped for it.
                return Ok(existing);
            }
            let room = self.jobs.reserve(room).await;
            self.jobs.create(job, room)
        })
    }

    fn create_now(&self, job: NewJob) -> Result<Result<Created, StoreError>, NewJob> {
        match self.jobs.budget.reserve(Room::of_job(&job)) {
            Some(room) => Ok(self.jobs.create(job, Ok(room))),
            // It may have to be made.
            None => Err(job),
        }
    }

    fn look_up<'a>(
        &'a self,
        principal: Option<&'a Principal>,
        key: &'a IdempotencyKey,
    ) -> BoxFuture<'a, Result<Option<Created>, StoreError>> {
        Box::pin(async move { Ok(self.jobs.look_up(principal, key)) })
    }

    fn start<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.jobs.start(lease) })
    }

    fn renew<'a>(&'a self, leases: &'a [Lease]) -> BoxFuture<'a, Result<Vec<Renewal>, StoreError>> {
        Box::pin(async move { Ok(self.jobs.renew_all(leases).await) })
    }

    fn report<'a>(
        &'a self,
        lease: &'a Lease,
        report: Report,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let room = self.jobs.reserve(Room::of_report(&report)).await;
            self.jobs.report(lease, report, room)
        })
    }

    fn finish<'a>(
        &'a self,
        lease: &'a Lease,
        outcome: Outcome,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let room = self.jobs.reserve_outcome(lease, &outcome).await;
            self.jobs.finish(lease, outcome, room)
        })
    }

    fn reserve<'a>(
        &'a self,
        lease: &'a Lease,
        bytes: usize,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
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

    fn release<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.jobs.release(lease) })
    }

    fn discard<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.jobs.discard(lease) })
    }

    fn read<'a>(
        &'a self,
        id: &'a JobId,
        detail: Detail,
    ) -> BoxFuture<'a, Result<Option<JobRecord>, StoreError>> {
        Box::pin(async move { Ok(self.jobs.read(id, detail)) })
    }

    fn read_now(
        &self,
        id: &JobId,
        detail: Detail,
    ) -> Option<Result<Option<JobRecord>, StoreError>> {
        Some(Ok(self.jobs.read(id, detail)))
    }

    fn ended<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(Ended::new(&self.jobs, id))
    }

    fn cancel<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Cancellation, StoreError>> {
        Box::pin(async move { Ok(self.jobs.cancel(id)) })
    }

    fn remove<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.jobs.remove(id)) })
    }

    fn extend<'a>(
        &'a self,
        id: &'a JobId,
        keep: Duration,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.jobs.extend(id, keep)) })
    }

    fn claim(&self, limit: usize) -> BoxFuture<'_, Result<Vec<Claim>, StoreError>> {
        Box::pin(async move { Ok(self.jobs.claim(limit).await) })
    }

    fn sweep(&self) -> BoxFuture<'_, Result<Option<Duration>, StoreError>> {
        Box::pin(async move { Ok(self.jobs.sweep().await) })
    }

    fn find(&self, handle: JobHandle) -> BoxFuture<'_, Result<Option<JobId>, StoreError>> {
        Box::pin(async move { Ok(self.jobs.find(handle).await) })
    }

    fn list<'a>(&'a self, query: &'a JobQuery) -> BoxFuture<'a, Result<JobPage, StoreError>> {
        Box::pin(async move { Ok(self.jobs.list(query).await) })
    }

    fn lease_duration(&self) -> Option<Duration> {
        self.jobs.lease
    }
}

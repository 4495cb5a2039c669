use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use tokio::{task::JoinSet, time::timeout};
use tower_async_job_core::{
    Cancellation, Claim, ClaimQuery, Claims, Created, Detail, End, IdempotencyKey, JobHandle,
    JobId, JobPage, JobQuery, JobRecord, JobStore, Lease, NewJob, Outside, Principal, Release,
    Released, Renewal, Report, ResultRef, StoreError, StoreFuture, StoreProperties, Subscription,
    SweepQuery, Upkeep,
};

use crate::{
    engine::{Engine, WORK},
    keys::{id_of_shard, shard_of_digest},
    notes::Delivery,
    operation,
    time::{span, to_day},
};

/// The maximum number of rounds of changes in one sweep.
const SWEEP_QUOTA: usize = 16;

/// A store of jobs in Redis or Valkey, which any number of nodes share; see the [crate](crate).
///
/// It is used within the tokio runtime in which it was connected. Dropping it closes its
/// connections.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_async_job_core::{Detail, JobStore, NewJob};
/// use tower_async_job_redis::RedisStore;
///
/// let store = RedisStore::connect("redis://127.0.0.1:6379").await?;
/// let job = NewJob::new(store.new_id(None, None));
/// let id = job.id;
/// store.create(job).await?;
///
/// let other = RedisStore::connect("redis://127.0.0.1:6379").await?;
/// assert!(other.read(&id, Detail::Status).await?.is_some());
/// # Ok(()) }
/// ```
pub struct RedisStore {
    engine: Arc<Engine>,
    properties: StoreProperties,
    /// The name by which sweeps count this handle.
    node: String,
    _tasks: JoinSet<()>,
}

impl RedisStore {
    pub(crate) fn new(
        engine: Arc<Engine>,
        properties: StoreProperties,
        tasks: JoinSet<()>,
    ) -> Self {
        Self {
            engine,
            properties,
            node: JobHandle::random().to_string(),
            _tasks: tasks,
        }
    }

    /// Makes this process one of the next release, whose rows have a newer format, for tests of
    /// upgrades. It precedes the first store.
    #[doc(hidden)]
    pub fn use_next_format() {
        crate::job::use_next_format();
    }

    /// Ignores notifications of other nodes from now on, so that only the fallback is left.
    #[doc(hidden)]
    pub fn lose_notifications(&self) {
        self.engine.feed.be_deaf();
    }

    /// Returns the number of round trips for calls, by the names of scripts or `read`, for tests of
    /// budgets.
    #[doc(hidden)]
    pub fn round_trips(&self) -> BTreeMap<&'static str, u64> {
        self.engine.link.trips()
    }

    /// Holds all reads of jobs, or lets them proceed, for tests. Those that are held are counted.
    #[doc(hidden)]
    pub fn hold_reads(&self, is_held: bool) {
        self.engine.hold_reads(is_held);
    }

    /// Boxes a call, and ends it within the operation timeout.
    fn bounded<'a, T: 'a>(
        &'a self,
        call: impl Future<Output = Result<T, StoreError>> + Send + 'a,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move {
            let late = || StoreError::unavailable("the operation took too long");
            timeout(self.engine.settings.operation_timeout, call)
                .await
                .unwrap_or_else(|_| Err(late()))
        })
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("engine", &self.engine)
            .field("properties", &self.properties)
            .finish_non_exhaustive()
    }
}

impl JobStore for RedisStore {
    fn properties(&self) -> &StoreProperties {
        &self.properties
    }

    fn new_id(&self, key: Option<&IdempotencyKey>, principal: Option<&Principal>) -> JobId {
        match key {
            Some(key) => id_of_shard(shard_of_digest(&key.digest(principal))),
            None => JobId::random(),
        }
    }

    fn create(&self, job: NewJob) -> StoreFuture<'_, Created> {
        self.bounded(async move { operation::create(&self.engine, &job).await })
    }

    fn look_up<'a>(
        &'a self,
        principal: Option<&'a Principal>,
        key: &'a IdempotencyKey,
    ) -> StoreFuture<'a, Option<Created>> {
        self.bounded(operation::look_up(&self.engine, principal, key))
    }

    fn start<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
        self.bounded(operation::start(&self.engine, lease))
    }

    fn renew<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, Vec<Renewal>> {
        self.bounded(operation::renew(&self.engine, leases))
    }

    fn report<'a>(&'a self, lease: &'a Lease, report: Report) -> StoreFuture<'a, ()> {
        self.bounded(async move { operation::report(&self.engine, lease, &report).await })
    }

    fn write_chunk<'a>(&'a self, lease: &'a Lease, index: u32, data: Bytes) -> StoreFuture<'a, ()> {
        let chunk = self.properties.chunk.unwrap_or_default();
        self.bounded(operation::write_chunk(
            &self.engine,
            lease,
            index,
            data,
            chunk,
        ))
    }

    fn finish<'a>(&'a self, lease: &'a Lease, mut end: End) -> StoreFuture<'a, ()> {
        self.bounded(async move {
            match operation::finish(&self.engine, lease, &end).await {
                Err(error) if error.is_full() && end.report.take().is_some() => {
                    operation::finish(&self.engine, lease, &end).await
                }
                result => result,
            }
        })
    }

    fn release<'a>(&'a self, leases: &'a [Lease], how: Release) -> StoreFuture<'a, Vec<Released>> {
        self.bounded(async move { operation::release(&self.engine, leases, &how).await })
    }

    fn resume<'a>(&'a self, id: &'a JobId, token: &'a [u8; 32]) -> StoreFuture<'a, Option<Claim>> {
        self.bounded(operation::resume(&self.engine, id, token))
    }

    fn renew_outside<'a>(
        &'a self,
        id: &'a JobId,
        outside: Outside,
        report: Report,
    ) -> StoreFuture<'a, Renewal> {
        self.bounded(
            async move { operation::renew_outside(&self.engine, id, &outside, &report).await },
        )
    }

    fn discard<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
        self.bounded(operation::discard(&self.engine, lease))
    }

    fn read<'a>(&'a self, id: &'a JobId, detail: Detail) -> StoreFuture<'a, Option<JobRecord>> {
        self.bounded(operation::read(&self.engine, id, detail))
    }

    fn read_chunk<'a>(
        &'a self,
        result: &'a ResultRef,
        index: u32,
    ) -> StoreFuture<'a, Option<Bytes>> {
        self.bounded(operation::read_chunk(&self.engine, result, index))
    }

    fn note_delivery(&self, id: &JobId, keep: Option<Duration>) {
        // Results are not dropped to make room, so only a shorter retention is noted.
        if let Some(keep) = keep {
            let at = self.engine.settings.clock.instant();
            self.engine.notes.add(*id, Delivery { at, keep });
        }
    }

    fn subscribe(&self, id: &JobId) -> Subscription {
        self.engine.waiters.subscribe(id)
    }

    fn cancel<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, Cancellation> {
        self.bounded(operation::cancel(&self.engine, id))
    }

    fn remove<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, bool> {
        self.bounded(operation::remove(&self.engine, id))
    }

    fn extend<'a>(&'a self, id: &'a JobId, keep: Duration) -> StoreFuture<'a, bool> {
        self.bounded(operation::extend(&self.engine, id, keep))
    }

    fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
        self.bounded(operation::claim(&self.engine, query))
    }

    fn notified<'a>(&'a self, lease: &'a Lease, again: Option<Duration>) -> StoreFuture<'a, ()> {
        self.bounded(operation::notified(&self.engine, lease, again))
    }

    fn work(&self) -> Subscription {
        self.engine.waiters.subscribe(&WORK)
    }

    fn sweep<'a>(&'a self, query: &'a SweepQuery) -> StoreFuture<'a, Upkeep> {
        self.bounded(async move {
            let mut swept = operation::sweep(&self.engine, query).await?;
            for _ in 1..SWEEP_QUOTA {
                if !swept.is_cut {
                    break;
                }
                swept = operation::sweep(&self.engine, query).await?;
            }
            let mut upkeep = Upkeep::new(to_day(swept.now));
            if swept.is_refused {
                return Ok(upkeep);
            }
            let (nodes, pending) = futures_util::future::join(
                operation::nodes(&self.engine, &self.node),
                operation::pending(&self.engine),
            )
            .await;
            let (pending, head) = pending?;
            upkeep.nodes = nodes?;
            upkeep.pending = pending;
            if let Some(id) = head {
                upkeep.oldest_due = operation::age(&self.engine, &id).await?;
            }
            upkeep.ended = self.engine.ended.take();
            upkeep.lost = self.engine.lost.swap(0, Ordering::Relaxed);
            let rest = self.engine.settings.lease / 3;
            let next = swept.next.map_or(rest, |next| span(swept.now, next));
            upkeep.next = Some(if swept.is_cut {
                Duration::ZERO
            } else {
                next.min(rest)
            });
            Ok(upkeep)
        })
    }

    fn find(&self, handle: JobHandle) -> StoreFuture<'_, Option<JobId>> {
        self.bounded(operation::find(&self.engine, handle))
    }

    fn list<'a>(&'a self, query: &'a JobQuery) -> StoreFuture<'a, JobPage> {
        self.bounded(operation::list_jobs(&self.engine, query))
    }
}

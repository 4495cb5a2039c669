use std::{fmt, time::Duration};

use bytes::Bytes;
use tower_async_job_core::{
    Cancellation, Claim, ClaimQuery, Claims, Created, Detail, End, IdempotencyKey, JobHandle,
    JobId, JobPage, JobQuery, JobRecord, JobStore, Lease, NewJob, Outcome, Outside, Principal,
    Release, Released, Renewal, Report, ResultRef, StoreError, StoreFuture, StoreProperties,
    Subscription, SweepQuery, Upkeep, Usage,
};

use crate::{
    engine::{Engine, Kind, WORK},
    job::{note_read, read_chunk},
    notes::Delivery,
    operation::{self, Page},
    time::{SECOND, micros, span, to_day},
    transaction::{Step, Transaction},
};

/// The maximum number of leases that one transaction renews or releases.
const LEASES_AT_ONCE: usize = 1000;

/// The bytes of a change of a lease, in the share of a commit.
const LEASE_BYTES: usize = 1 << 10;

/// The maximum number of transactions in one sweep.
const SWEEP_QUOTA: usize = 16;

/// A store of jobs in a SQLite file, which outlives the process; see the [crate](crate).
///
/// Dropping it closes the file in the background: operations that were polled are still performed,
/// but nothing waits for them.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_async_job_core::{Detail, JobStore, NewJob};
/// use tower_async_job_sqlite::SqliteStore;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("jobs.db");
/// let store = SqliteStore::open(&path).await?;
/// let job = NewJob::new(store.new_id(None, None));
/// let id = job.id;
/// store.create(job).await?;
/// drop(store);
///
/// let store = SqliteStore::open(&path).await?;
/// assert!(store.read(&id, Detail::Status).await?.is_some());
/// # Ok(()) }
/// ```
pub struct SqliteStore {
    engine: Engine,
    properties: StoreProperties,
    /// The number by which sweeps count this handle.
    node: i64,
}

impl SqliteStore {
    pub(crate) fn new(engine: Engine, properties: StoreProperties) -> Self {
        Self {
            engine,
            properties,
            node: (JobHandle::random().to_bits() >> 1) as i64,
        }
    }

    /// Makes this process one of the next release, whose rows have a newer format, for tests of
    /// upgrades. It precedes the first store.
    #[doc(hidden)]
    pub fn use_next_format() {
        crate::job::use_next_format();
    }

    /// Ignores notifications of other processes from now on, so that only the fallback is left.
    #[doc(hidden)]
    pub fn lose_notifications(&self) {
        self.engine.be_deaf();
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.engine.settings().path)
            .field("properties", &self.properties)
            .finish_non_exhaustive()
    }
}

impl JobStore for SqliteStore {
    fn properties(&self) -> &StoreProperties {
        &self.properties
    }

    fn create(&self, job: NewJob) -> StoreFuture<'_, Created> {
        let request = job.request.as_ref().map_or(0, |request| request.len());
        let bytes = request + job.notify.as_ref().map_or(0, Bytes::len);
        Box::pin(self.engine.write(Kind::Growing, bytes, move |transaction| {
            operation::create(transaction, &job)
        }))
    }

    fn look_up<'a>(
        &'a self,
        principal: Option<&'a Principal>,
        key: &'a IdempotencyKey,
    ) -> StoreFuture<'a, Option<Created>> {
        let (principal, key) = (principal.cloned(), key.clone());
        Box::pin(
            self.engine
                .read(move |snapshot| operation::look_up(snapshot, principal.as_ref(), &key)),
        )
    }

    fn start<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
        let lease = *lease;
        Box::pin(self.engine.write(Kind::Small, 0, move |transaction| {
            operation::start(transaction, &lease)
        }))
    }

    fn renew<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, Vec<Renewal>> {
        Box::pin(self.in_parts(leases, operation::renew))
    }

    fn report<'a>(&'a self, lease: &'a Lease, report: Report) -> StoreFuture<'a, ()> {
        let lease = *lease;
        let bytes = report_len(&report);
        Box::pin(self.engine.write(Kind::Growing, bytes, move |transaction| {
            operation::report(transaction, &lease, &report)
        }))
    }

    fn write_chunk<'a>(&'a self, lease: &'a Lease, index: u32, data: Bytes) -> StoreFuture<'a, ()> {
        let lease = *lease;
        Box::pin(
            self.engine
                .write(Kind::Lazy, data.len(), move |transaction| {
                    operation::write_chunk(transaction, &lease, index, &data)
                }),
        )
    }

    fn finish<'a>(&'a self, lease: &'a Lease, mut end: End) -> StoreFuture<'a, ()> {
        let lease = *lease;
        Box::pin(async move {
            let result = self.end(lease, end.clone()).await;
            match result {
                Err(error) if error.is_full() && end.report.take().is_some() => {
                    self.end(lease, end).await
                }
                result => result,
            }
        })
    }

    fn release<'a>(&'a self, leases: &'a [Lease], how: Release) -> StoreFuture<'a, Vec<Released>> {
        let release = move |transaction: &Transaction<'_>, leases: &[Lease]| {
            operation::release(transaction, leases, &how)
        };
        Box::pin(self.in_parts(leases, release))
    }

    fn resume<'a>(&'a self, id: &'a JobId, token: &'a [u8; 32]) -> StoreFuture<'a, Option<Claim>> {
        let (id, token) = (*id, *token);
        Box::pin(self.engine.write(Kind::Small, 0, move |transaction| {
            operation::resume(transaction, &id, &token)
        }))
    }

    fn renew_outside<'a>(
        &'a self,
        id: &'a JobId,
        outside: Outside,
        report: Report,
    ) -> StoreFuture<'a, Renewal> {
        let id = *id;
        let bytes = report_len(&report);
        Box::pin(self.engine.write(Kind::Growing, bytes, move |transaction| {
            operation::renew_outside(transaction, &id, &outside, &report)
        }))
    }

    fn discard<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
        let lease = *lease;
        Box::pin(self.engine.write(Kind::Small, 0, move |transaction| {
            operation::discard(transaction, &lease)
        }))
    }

    fn read<'a>(&'a self, id: &'a JobId, detail: Detail) -> StoreFuture<'a, Option<JobRecord>> {
        Box::pin(self.engine.record(*id, detail))
    }

    fn read_chunk<'a>(
        &'a self,
        result: &'a ResultRef,
        index: u32,
    ) -> StoreFuture<'a, Option<Bytes>> {
        let lease = result.lease;
        Box::pin(async move {
            let read = self.engine.read(move |snapshot| {
                let read = read_chunk(snapshot, &lease, index)?;
                Ok((read, snapshot.now))
            });
            let ((data, is_to_note), now) = read.await?;
            if is_to_note {
                self.engine
                    .note(move |transaction| note_read(transaction, &lease, now));
            }
            Ok(data.map(Bytes::from))
        })
    }

    fn note_delivery(&self, id: &JobId, keep: Option<Duration>) {
        let at = self.engine.clock().now();
        // Only the first note within a second counts.
        let until = keep.map(|keep| at.saturating_add(micros(keep)).saturating_add(SECOND));
        self.engine.notes().add(*id, Delivery { at, until });
    }

    fn subscribe(&self, id: &JobId) -> Subscription {
        self.engine.waiters().subscribe(id)
    }

    fn cancel<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, Cancellation> {
        let id = *id;
        Box::pin(self.engine.write(Kind::Small, 0, move |transaction| {
            operation::cancel(transaction, &id)
        }))
    }

    fn remove<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, bool> {
        let id = *id;
        Box::pin(self.engine.write(Kind::Small, 0, move |transaction| {
            operation::remove(transaction, &id)
        }))
    }

    fn extend<'a>(&'a self, id: &'a JobId, keep: Duration) -> StoreFuture<'a, bool> {
        let id = *id;
        Box::pin(self.engine.write(Kind::Small, 0, move |transaction| {
            operation::extend(transaction, &id, keep)
        }))
    }

    fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
        let query = query.clone();
        Box::pin(self.engine.write(Kind::Small, 0, move |transaction| {
            operation::claim(transaction, &query)
        }))
    }

    fn notified<'a>(&'a self, lease: &'a Lease, again: Option<Duration>) -> StoreFuture<'a, ()> {
        let lease = *lease;
        Box::pin(self.engine.write(Kind::Small, 0, move |transaction| {
            operation::notified(transaction, &lease, again)
        }))
    }

    fn work(&self) -> Subscription {
        self.engine.waiters().subscribe(&WORK)
    }

    fn sweep<'a>(&'a self, query: &'a SweepQuery) -> StoreFuture<'a, Upkeep> {
        let node = self.node;
        Box::pin(async move {
            let sweep = || {
                let query = query.clone();
                self.engine.write(Kind::Small, 0, move |transaction| {
                    operation::sweep(transaction, node, &query)
                })
            };
            let mut swept = sweep().await?;
            for _ in 1..SWEEP_QUOTA {
                if swept.next != Some(swept.now) {
                    break;
                }
                swept = sweep().await?;
            }
            let mut upkeep = Upkeep::new(to_day(swept.now));
            if swept.is_refused {
                return Ok(upkeep);
            }
            (upkeep.pending, upkeep.oldest_due) = self.engine.read(operation::count).await?;
            (upkeep.lost, upkeep.ended) = self.engine.take_lapsed();
            upkeep.nodes = swept.nodes;
            let rest = self.engine.settings().lease / 3;
            let next = swept.next.map_or(rest, |next| span(swept.now, next));
            upkeep.next = Some(next.min(rest));
            Ok(upkeep)
        })
    }

    fn find(&self, handle: JobHandle) -> StoreFuture<'_, Option<JobId>> {
        Box::pin(
            self.engine
                .read(move |snapshot| operation::find(snapshot, handle)),
        )
    }

    fn list<'a>(&'a self, query: &'a JobQuery) -> StoreFuture<'a, JobPage> {
        Box::pin(async move {
            let mut page = Page::new(query.clone());
            loop {
                let scan = self.engine.read(move |snapshot| {
                    let done = operation::list(snapshot, &mut page)?;
                    Ok((done, page))
                });
                let (done, scanned) = scan.await?;
                if let Some(done) = done {
                    return Ok(done);
                }
                page = scanned;
            }
        })
    }

    fn usage(&self) -> Option<Usage> {
        let size = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        let limit = self.engine.settings().max_bytes;
        Some(Usage::new(
            size(self.engine.used()),
            limit.map_or(usize::MAX, size),
        ))
    }
}

impl SqliteStore {
    /// Changes leases in transactions of a limited size.
    async fn in_parts<T: Send + 'static>(
        &self,
        leases: &[Lease],
        act: impl Fn(&Transaction<'_>, &[Lease]) -> Step<Vec<T>> + Clone + Send + 'static,
    ) -> Result<Vec<T>, StoreError> {
        let mut results = Vec::with_capacity(leases.len());
        for part in leases.chunks(LEASES_AT_ONCE) {
            let (part, act) = (part.to_vec(), act.clone());
            let bytes = part.len() * LEASE_BYTES;
            let done = self.engine.write(Kind::Small, bytes, move |transaction| {
                act(transaction, &part)
            });
            results.extend(done.await?);
        }
        Ok(results)
    }

    async fn end(&self, lease: Lease, end: End) -> Result<(), StoreError> {
        let (kind, bytes) = match &end.outcome {
            Outcome::Done(response) | Outcome::Streamed { head: response, .. } => {
                (Kind::Growing, response.len())
            }
            // A problem is small, and is stored when a response does not fit.
            _ if end.report.is_none() => (Kind::Small, 0),
            _ => (Kind::Growing, 0),
        };
        let bytes = bytes + end.report.as_ref().map_or(0, report_len);
        let finish = self.engine.write(kind, bytes, move |transaction| {
            operation::finish(transaction, &lease, &end)
        });
        finish.await
    }
}

/// Returns the bytes of a report.
fn report_len(report: &Report) -> usize {
    let json = [&report.partial, &report.metadata];
    let json: usize = json.into_iter().flatten().map(|json| json.len()).sum();
    json + report.checkpoint.as_ref().map_or(0, Bytes::len)
}

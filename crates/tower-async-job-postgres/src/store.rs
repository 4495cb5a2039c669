use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::task::{AbortHandle, yield_now};
use tokio_postgres::types::Type;
use tower_async_job_core::{
    Cancellation, Claim, ClaimQuery, Claims, Created, Detail, End, EndedJobs, IdempotencyKey,
    JobHandle, JobId, JobPage, JobQuery, JobRecord, JobStore, Lease, NewJob, Outside, Principal,
    ReadBatch, Release, Released, Renewal, Report, ResultRef, Start, StoreError, StoreFuture,
    StoreProperties, Subscription, SweepQuery, Upkeep,
};

use crate::{
    batch::Batcher,
    database::{Address, Database, Retry, column},
    feed::Feed,
    job::{Found, Id, narrow, state_of},
    notes::Notes,
    operation::{self, Create, Finish, Made, Send, StoredReport, Verdict, held, verdict_of},
    settings::Settings,
    time::{micros, of_day, to_day},
};

/// The number of reads that may be under way at the same time.
const READERS: usize = 2;

/// The maximum number of statements that make changes in one sweep.
const SWEEP_QUOTA: usize = 16;

/// A store of jobs in PostgreSQL, shared by any number of nodes; see the [crate](crate).
///
/// Dropping it ends its tasks and closes its connections: operations that were polled are still
/// performed, but nothing waits for them.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_async_job_core::{Detail, JobStore, NewJob};
/// use tower_async_job_postgres::PostgresStore;
///
/// let url = "postgres://app:secret@localhost/app";
/// let (one, other) = (PostgresStore::connect(url).await?, PostgresStore::connect(url).await?);
/// let job = NewJob::new(one.new_id(None, None));
/// let id = job.id;
/// one.create(job).await?;
/// assert!(other.read(&id, Detail::Status).await?.is_some());
/// # Ok(()) }
/// ```
pub struct PostgresStore {
    properties: StoreProperties,
    settings: Settings,
    database: Arc<Database>,
    feed: Arc<Feed>,
    notes: Arc<Notes>,
    reads: Arc<ReadBatch<(JobId, Detail), Found>>,
    creates: Batcher<Create>,
    starts: Batcher<operation::Start>,
    reports: Batcher<Send>,
    ends: Batcher<Finish>,
    tasks: Vec<AbortHandle>,
    /// The number by which sweeps count this handle.
    node: i64,
    /// The number of jobs that ended since their leases lapsed, until a sweep reports it.
    lost: AtomicU64,
    /// These jobs, and those whose deadline passed.
    ended: EndedJobs,
}

impl PostgresStore {
    pub(crate) fn new(
        address: &Address,
        listening: Option<Address>,
        settings: Settings,
        properties: StoreProperties,
    ) -> Self {
        let database = Arc::new(Database::new(address, &settings));
        let feed = Feed::new(&settings.schema);
        let notes = Arc::new(Notes::default());
        let reads = Arc::new(ReadBatch::default());
        let mut tasks = Vec::new();
        let mut spawn = |task: tokio::task::JoinHandle<()>| tasks.push(task.abort_handle());
        let is_shared = listening.is_none();
        let listening = listening.unwrap_or_else(|| address.clone());
        spawn(tokio::spawn(Arc::clone(&feed).listen(
            listening,
            is_shared,
            Arc::clone(&database),
        )));
        spawn(tokio::spawn(Arc::clone(&feed).send(Arc::clone(&database))));
        spawn(tokio::spawn(
            Arc::clone(&feed).recheck(Arc::clone(&database)),
        ));
        spawn(tokio::spawn(Arc::clone(&notes).run(Arc::clone(&database))));
        for _ in 0..READERS {
            let (reads, database) = (Arc::clone(&reads), Arc::clone(&database));
            spawn(tokio::spawn(async move {
                let read = |wanted| operation::read(&database, wanted);
                match reads.run_gathering(yield_now, read).await {}
            }));
        }
        Self {
            properties,
            creates: Batcher::new(&database),
            starts: Batcher::new(&database),
            reports: Batcher::new(&database),
            ends: Batcher::new(&database),
            settings,
            database,
            feed,
            notes,
            reads,
            tasks,
            node: (JobHandle::random().to_bits() >> 1) as i64,
            lost: AtomicU64::new(0),
            ended: EndedJobs::default(),
        }
    }

    /// Returns whether notifications of other nodes arrive. Otherwise their changes are noticed up
    /// to a second later.
    pub fn is_listening(&self) -> bool {
        self.feed.is_listening()
    }

    /// Ignores notifications of other nodes from now on, so that only the fallback is left.
    #[doc(hidden)]
    pub fn lose_notifications(&self) {
        self.feed.be_deaf();
    }

    /// Waits until all deliveries are written, for tests.
    #[doc(hidden)]
    pub async fn settle(&self) {
        self.notes.settle(None).await;
    }

    /// Returns the number of statements that were sent, by the functions in the schema that they
    /// call, without those of the listening connection, for tests of budgets.
    #[doc(hidden)]
    pub fn statements(&self) -> BTreeMap<&'static str, u64> {
        self.database.statements()
    }

    fn lease(&self) -> i64 {
        micros(self.settings.lease)
    }

    /// Notes the jobs that have ended by the passing of time, and the number of lost ones.
    fn note_ended(&self, ended: Vec<JobId>, lost: i32) {
        let lost = lost.unsigned_abs().into();
        self.lost.fetch_add(lost, Ordering::Relaxed);
        self.ended.note(ended.iter().copied());
        self.feed.ended(ended);
    }

    async fn record(&self, id: JobId, detail: Detail) -> Found {
        let reading = async {
            self.notes.settle(Some(&id)).await;
            self.reads.read((id, detail)).await
        };
        let read = self.database.in_time(reading).await?;
        read.unwrap_or(Ok(None))
    }

    async fn end(&self, lease: Lease, end: End) -> Result<(), StoreError> {
        let ended = self.ends.perform(Finish::new(lease, end)?).await?;
        self.feed.ended([lease.id]);
        if ended.is_due {
            self.feed.work();
        }
        Ok(())
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        // Reads then fail, since the store is closed.
        self.feed.notify_all();
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("settings", &self.settings)
            .field("properties", &self.properties)
            .finish_non_exhaustive()
    }
}

impl JobStore for PostgresStore {
    fn properties(&self) -> &StoreProperties {
        &self.properties
    }

    fn create(&self, job: NewJob) -> StoreFuture<'_, Created> {
        Box::pin(async move {
            let (start, lease) = (job.start, job.first_lease());
            loop {
                let create = Create::new(job.clone(), self.lease());
                match self.creates.perform(create).await? {
                    Made::Stored(created) if start == Start::Offered => {
                        self.feed.work();
                        return Ok(Created::Offered { created });
                    }
                    Made::Stored(created) => return Ok(Created::New { lease, created }),
                    Made::KeyReused => return Ok(Created::KeyReused),
                    Made::Existing(_, Some(record)) => return Ok(Created::Existing(record)),
                    Made::Existing(holder, None) => {
                        // If it is gone by now, its key is free.
                        if let Some(record) = self.record(holder, Detail::Status).await? {
                            return Ok(Created::Existing(Box::new(record)));
                        }
                    }
                }
            }
        })
    }

    fn look_up<'a>(
        &'a self,
        principal: Option<&'a Principal>,
        key: &'a IdempotencyKey,
    ) -> StoreFuture<'a, Option<Created>> {
        Box::pin(operation::look_up(&self.database, principal, key))
    }

    fn start<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
        Box::pin(self.starts.perform(operation::Start(*lease)))
    }

    fn renew<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, Vec<Renewal>> {
        Box::pin(operation::renew(&self.database, self.lease(), leases))
    }

    fn report<'a>(&'a self, lease: &'a Lease, report: Report) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let report = StoredReport::of(report)?;
            let lease = *lease;
            self.reports.perform(Send { lease, report }).await
        })
    }

    fn write_chunk<'a>(&'a self, lease: &'a Lease, index: u32, data: Bytes) -> StoreFuture<'a, ()> {
        Box::pin(operation::write_chunk(&self.database, lease, index, data))
    }

    fn finish<'a>(&'a self, lease: &'a Lease, mut end: End) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let result = self.end(*lease, end.clone()).await;
            match result {
                Err(error) if error.is_full() && end.report.take().is_some() => {
                    self.end(*lease, end).await
                }
                result => result,
            }
        })
    }

    fn release<'a>(&'a self, leases: &'a [Lease], how: Release) -> StoreFuture<'a, Vec<Released>> {
        Box::pin(async move {
            let mut results = Vec::with_capacity(leases.len());
            for part in leases.chunks(operation::LEASES_AT_ONCE) {
                let answers = operation::release(&self.database, part, &how).await?;
                for (lease, answer) in part.iter().zip(answers) {
                    let (released, is_due) = answer?;
                    if matches!(released, Released::Ended(_)) {
                        self.feed.ended([lease.id]);
                    }
                    if is_due {
                        self.feed.work();
                    }
                    results.push(released);
                }
            }
            Ok(results)
        })
    }

    fn resume<'a>(&'a self, id: &'a JobId, token: &'a [u8; 32]) -> StoreFuture<'a, Option<Claim>> {
        Box::pin(async move {
            let parameters = [
                (&self.lease() as _, Type::INT8),
                (&Id(*id) as _, Type::UUID),
                (&&token[..] as _, Type::BYTEA),
            ];
            let rows = self
                .database
                .call("resume", &parameters, Retry::Always)
                .await?;
            rows.first().map(operation::resumed_of).transpose()
        })
    }

    fn renew_outside<'a>(
        &'a self,
        id: &'a JobId,
        outside: Outside,
        report: Report,
    ) -> StoreFuture<'a, Renewal> {
        Box::pin(operation::renew_outside(
            &self.database,
            id,
            outside,
            report,
        ))
    }

    fn discard<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let parameters = [
                (&self.lease() as _, Type::INT8),
                (&Id(lease.id) as _, Type::UUID),
                (&narrow(lease.epoch) as _, Type::INT8),
            ];
            let row = self
                .database
                .call_one("discard", &parameters, Retry::Always)
                .await?;
            held(&row)?;
            self.feed.ended([lease.id]);
            Ok(())
        })
    }

    fn read<'a>(&'a self, id: &'a JobId, detail: Detail) -> StoreFuture<'a, Option<JobRecord>> {
        Box::pin(self.record(*id, detail))
    }

    fn read_chunk<'a>(
        &'a self,
        result: &'a ResultRef,
        index: u32,
    ) -> StoreFuture<'a, Option<Bytes>> {
        Box::pin(operation::read_chunk(&self.database, result, index))
    }

    fn note_delivery(&self, id: &JobId, keep: Option<Duration>) {
        // There is no room to make, so only a shorter retention counts.
        if let Some(keep) = keep {
            self.notes.add(*id, keep);
        }
    }

    fn subscribe(&self, id: &JobId) -> Subscription {
        self.feed.subscribe(id)
    }

    fn cancel<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, Cancellation> {
        Box::pin(async move {
            let parameters = [(&Id(*id) as _, Type::UUID)];
            let row = self
                .database
                .call_one("cancel", &parameters, Retry::RolledBack)
                .await?;
            if let Verdict::Done(_) = verdict_of(&row)? {
                self.feed.ended([*id]);
                if column(&row, "is_due")? {
                    self.feed.work();
                }
                let ended = to_day(column(&row, "ended")?);
                return Ok(Cancellation::Cancelled { ended });
            }
            let state: Option<i16> = column(&row, "state")?;
            let ended = state.and_then(state_of).map(Cancellation::Ended);
            Ok(ended.unwrap_or(Cancellation::Unknown))
        })
    }

    fn remove<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let parameters = [
                (&self.lease() as _, Type::INT8),
                (&Id(*id) as _, Type::UUID),
            ];
            let row = self
                .database
                .call_one("remove", &parameters, Retry::RolledBack);
            Ok(verdict_of(&row.await?)? != Verdict::No)
        })
    }

    fn extend<'a>(&'a self, id: &'a JobId, keep: Duration) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let parameters = [
                (&Id(*id) as _, Type::UUID),
                (&micros(keep) as _, Type::INT8),
            ];
            let row = self.database.call_one("extend", &parameters, Retry::Always);
            Ok(verdict_of(&row.await?)? != Verdict::No)
        })
    }

    fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
        Box::pin(async move {
            let taken = operation::claim(&self.database, self.lease(), query).await?;
            self.note_ended(taken.ended, taken.lost);
            if taken.work {
                self.feed.work();
            }
            Ok(taken.claims)
        })
    }

    fn notified<'a>(&'a self, lease: &'a Lease, again: Option<Duration>) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let parameters = [
                (&Id(lease.id) as _, Type::UUID),
                (&narrow(lease.epoch) as _, Type::INT8),
                (&again.map(micros) as _, Type::INT8),
            ];
            // A repeat of the last one finds no notification.
            let retry = again.map_or(Retry::RolledBack, |_| Retry::Always);
            let row = self
                .database
                .call_one("notified", &parameters, retry)
                .await?;
            held(&row)?;
            if again.is_some_and(|again| again.is_zero()) {
                self.feed.work();
            }
            Ok(())
        })
    }

    fn work(&self) -> Subscription {
        self.feed.subscribe_work()
    }

    fn sweep<'a>(&'a self, query: &'a SweepQuery) -> StoreFuture<'a, Upkeep> {
        Box::pin(async move {
            let parameters = [
                (&self.lease() as _, Type::INT8),
                (&self.node as _, Type::INT8),
                (&query.not_after.map(of_day) as _, Type::INT8),
            ];
            let mut row = None;
            for _ in 0..SWEEP_QUOTA {
                let swept = self
                    .database
                    .call_one("sweep", &parameters, Retry::Always)
                    .await?;
                let lost = column::<Option<i32>>(&swept, "lost")?.unwrap_or(0);
                let ended: Option<Vec<Id>> = column(&swept, "ended")?;
                let ended = ended.into_iter().flatten().map(|id| id.0);
                self.note_ended(ended.collect(), lost);
                if column::<Option<bool>>(&swept, "work")? == Some(true) {
                    self.feed.work();
                }
                let more: Option<bool> = column(&swept, "more")?;
                row = Some(swept);
                if more != Some(true) {
                    break;
                }
            }
            let row = row.ok_or_else(|| StoreError::unavailable("nothing was swept"))?;
            let mut upkeep = operation::upkeep_of(&row, self.settings.lease / 3)?;
            if !column::<bool>(&row, "is_refused")? {
                upkeep.ended = self.ended.take();
                upkeep.lost = self.lost.swap(0, Ordering::Relaxed);
            }
            Ok(upkeep)
        })
    }

    fn find(&self, handle: JobHandle) -> StoreFuture<'_, Option<JobId>> {
        Box::pin(operation::find(&self.database, handle))
    }

    fn list<'a>(&'a self, query: &'a JobQuery) -> StoreFuture<'a, JobPage> {
        Box::pin(operation::page(&self.database, query))
    }
}

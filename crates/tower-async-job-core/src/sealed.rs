use std::time::Duration;

use bytes::Bytes;
use http_polling::{Problem, ProblemType};

use crate::{
    claim::{Claim, ClaimQuery, Claims, Task},
    end::{End, Outcome, Report},
    error::StoreError,
    id::{JobHandle, JobId},
    job::NewJob,
    json::Json,
    lease::{Lease, Outside, Release, Released, Renewal},
    message::{CLEAR, StoredRequest, StoredResponse},
    owner::{IdempotencyKey, Principal},
    properties::{StoreProperties, Upkeep, Usage},
    query::{JobPage, JobQuery},
    record::{Cancellation, Created, Detail, JobRecord, RecordedOutcome, ResultRef},
    seal::{self, Seal, SealContext, SealedPart},
    store::{JobStore, StoreFuture},
    subscription::Subscription,
};

/// A store that seals the data of clients: requests, responses, partial results, metadata,
/// checkpoints and notifications. The inner store never sees them in the clear.
///
/// Still readable are the data that stores and operators need: ids, handles, routes, principals,
/// digests of keys, times and states, progress, problem documents, and the format, status and
/// length of messages.
///
/// A claimed job that cannot be opened ends as failed, like one that cannot be read. If this node
/// does not have its key, it is released for other nodes.
///
/// ```
/// # use tower_async_job_core::{SealContext, StoreError};
/// use tower_async_job_core::{MemoryStore, Seal, Sealed};
/// # #[derive(Debug)]
/// # struct Key;
/// # impl Seal for Key {
/// #     fn overhead(&self) -> usize { 0 }
/// #     fn seal(&self, _: &SealContext, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
/// #         Ok(plain.iter().rev().copied().collect())
/// #     }
/// #     fn open(&self, context: &SealContext, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
/// #         self.seal(context, sealed)
/// #     }
/// # }
///
/// let store = Sealed::new(MemoryStore::new(), Key);
/// # drop(store);
/// ```
#[derive(Debug)]
pub struct Sealed<S> {
    inner: S,
    seal: Box<dyn Seal>,
    properties: StoreProperties,
}

/// The time for which a job is released if this node does not have its key.
const OTHERS_TURN: Duration = Duration::from_secs(60);

/// The number of readable bytes of a request: its format.
const FORMAT: usize = 1;

impl<S: JobStore> Sealed<S> {
    /// Wraps a store, and seals all data stored from now on. Data stored unsealed cannot be opened.
    pub fn new(store: S, seal: impl Seal) -> Self {
        let mut properties = store.properties().clone();
        if let Some(chunk) = &mut properties.chunk {
            *chunk = chunk.saturating_sub(seal.overhead()).max(1);
        }
        Self {
            inner: store,
            seal: Box::new(seal),
            properties,
        }
    }

    /// Returns the inner store.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    fn seal(
        &self,
        id: JobId,
        part: SealedPart,
        plain: &Bytes,
        clear: usize,
    ) -> Result<Bytes, StoreError> {
        seal::seal(&*self.seal, SealContext::new(id, part), plain, clear)
    }

    fn open(
        &self,
        id: JobId,
        part: SealedPart,
        stored: &Bytes,
        clear: usize,
    ) -> Result<Bytes, StoreError> {
        seal::open(&*self.seal, SealContext::new(id, part), stored, clear)
    }

    fn seal_job(&self, job: &mut NewJob) -> Result<(), StoreError> {
        if let Some(request) = &mut job.request {
            let sealed = self.seal(job.id, SealedPart::Request, request.as_bytes(), FORMAT)?;
            *request = StoredRequest::from_bytes(sealed);
        }
        if let Some(notify) = &mut job.notify {
            *notify = self.seal(job.id, SealedPart::Notify, notify, 0)?;
        }
        Ok(())
    }

    fn seal_report(&self, id: JobId, report: &mut Report) -> Result<(), StoreError> {
        let parts = [
            (&mut report.partial, SealedPart::Partial),
            (&mut report.metadata, SealedPart::Metadata),
        ];
        for (json, part) in parts {
            if let Some(json) = json {
                *json = Json::from_bytes(self.seal(id, part, json.as_bytes(), 0)?);
            }
        }
        if let Some(checkpoint) = &mut report.checkpoint {
            *checkpoint = self.seal(id, SealedPart::Checkpoint, checkpoint, 0)?;
        }
        Ok(())
    }

    fn seal_end(&self, id: JobId, end: &mut End) -> Result<(), StoreError> {
        if let Outcome::Done(response) | Outcome::Streamed { head: response, .. } = &mut end.outcome
        {
            let sealed = self.seal(id, SealedPart::Response, response.as_bytes(), CLEAR)?;
            *response = StoredResponse::from_bytes(sealed);
        }
        match &mut end.report {
            Some(report) => self.seal_report(id, report),
            None => Ok(()),
        }
    }

    fn open_record(&self, mut record: JobRecord) -> Result<JobRecord, StoreError> {
        let parts = [
            (&mut record.partial, SealedPart::Partial),
            (&mut record.metadata, SealedPart::Metadata),
        ];
        for (json, part) in parts {
            if let Some(json) = json {
                *json = Json::from_bytes(self.open(record.id, part, json.as_bytes(), 0)?);
            }
        }
        if let Some(RecordedOutcome::Response(response) | RecordedOutcome::Head(response)) =
            &mut record.outcome
        {
            let bytes = response.as_bytes();
            let plain = self.open(record.id, SealedPart::Response, bytes, CLEAR)?;
            *response = StoredResponse::from_bytes(plain);
        }
        Ok(record)
    }

    fn open_created(&self, created: Created) -> Result<Created, StoreError> {
        Ok(match created {
            Created::Existing(record) => Created::Existing(Box::new(self.open_record(*record)?)),
            created => created,
        })
    }

    fn open_claim(&self, claim: &mut Claim) -> Result<(), StoreError> {
        let id = claim.lease.id;
        match &mut claim.task {
            Task::Run(request) => {
                let plain = self.open(id, SealedPart::Request, request.as_bytes(), FORMAT)?;
                *request = StoredRequest::from_bytes(plain);
            }
            Task::Notify { notify, .. } => {
                *notify = self.open(id, SealedPart::Notify, notify, 0)?;
            }
            Task::Record => {}
        }
        if !claim.checkpoint.is_empty() {
            claim.checkpoint = self.open(id, SealedPart::Checkpoint, &claim.checkpoint, 0)?;
        }
        Ok(())
    }

    /// Releases or ends a claim that cannot be opened; returns whether the job has ended.
    async fn give_up(&self, claim: &Claim, error: &StoreError) -> Result<bool, StoreError> {
        let lease = &claim.lease;
        let for_good = error.is_corrupt();
        if let Task::Notify { .. } = claim.task {
            let again = (!for_good).then_some(OTHERS_TURN);
            self.inner.notified(lease, again).await?;
        } else if for_good {
            let problem = Problem::new(ProblemType::JobFailed);
            let problem = problem.with_detail("the stored request cannot be read");
            self.inner
                .finish(lease, Outcome::Failed(problem).into())
                .await?;
        } else {
            let others = Release::default()
                .with_counts(false)
                .with_after(OTHERS_TURN);
            self.inner.release(&[*lease], others).await?;
        }
        Ok(for_good)
    }
}

impl<S: JobStore> JobStore for Sealed<S> {
    fn properties(&self) -> &StoreProperties {
        &self.properties
    }

    fn new_id(&self, key: Option<&IdempotencyKey>, principal: Option<&Principal>) -> JobId {
        self.inner.new_id(key, principal)
    }

    fn create(&self, mut job: NewJob) -> StoreFuture<'_, Created> {
        Box::pin(async move {
            self.seal_job(&mut job)?;
            self.open_created(self.inner.create(job).await?)
        })
    }

    fn create_now(&self, mut job: NewJob) -> Result<Result<Created, StoreError>, NewJob> {
        let (request, notify) = (job.request.clone(), job.notify.clone());
        if let Err(error) = self.seal_job(&mut job) {
            return Ok(Err(error));
        }
        match self.inner.create_now(job) {
            Ok(created) => Ok(created.and_then(|created| self.open_created(created))),
            Err(mut job) => {
                (job.request, job.notify) = (request, notify);
                Err(job)
            }
        }
    }

    fn look_up<'a>(
        &'a self,
        principal: Option<&'a Principal>,
        key: &'a IdempotencyKey,
    ) -> StoreFuture<'a, Option<Created>> {
        Box::pin(async move {
            let found = self.inner.look_up(principal, key).await?;
            found.map(|found| self.open_created(found)).transpose()
        })
    }

    fn start<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
        self.inner.start(lease)
    }

    fn renew<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, Vec<Renewal>> {
        self.inner.renew(leases)
    }

    fn report<'a>(&'a self, lease: &'a Lease, mut report: Report) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.seal_report(lease.id, &mut report)?;
            self.inner.report(lease, report).await
        })
    }

    fn reserve<'a>(&'a self, lease: &'a Lease, bytes: usize) -> StoreFuture<'a, ()> {
        self.inner.reserve(lease, bytes)
    }

    fn check_room(&self, bytes: usize) -> Result<(), StoreError> {
        self.inner.check_room(bytes)
    }

    fn write_chunk<'a>(&'a self, lease: &'a Lease, index: u32, data: Bytes) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let epoch = lease.epoch;
            let sealed = self.seal(lease.id, SealedPart::Chunk { epoch, index }, &data, 0)?;
            self.inner.write_chunk(lease, index, sealed).await
        })
    }

    fn finish<'a>(&'a self, lease: &'a Lease, mut end: End) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.seal_end(lease.id, &mut end)?;
            self.inner.finish(lease, end).await
        })
    }

    fn release<'a>(&'a self, leases: &'a [Lease], how: Release) -> StoreFuture<'a, Vec<Released>> {
        self.inner.release(leases, how)
    }

    fn resume<'a>(&'a self, id: &'a JobId, token: &'a [u8; 32]) -> StoreFuture<'a, Option<Claim>> {
        Box::pin(async move {
            let mut claim = self.inner.resume(id, token).await?;
            if let Some(claim) = &mut claim {
                self.open_claim(claim)?;
            }
            Ok(claim)
        })
    }

    fn renew_outside<'a>(
        &'a self,
        id: &'a JobId,
        outside: Outside,
        mut report: Report,
    ) -> StoreFuture<'a, Renewal> {
        Box::pin(async move {
            self.seal_report(*id, &mut report)?;
            self.inner.renew_outside(id, outside, report).await
        })
    }

    fn discard<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
        self.inner.discard(lease)
    }

    fn read<'a>(&'a self, id: &'a JobId, detail: Detail) -> StoreFuture<'a, Option<JobRecord>> {
        Box::pin(async move {
            let record = self.inner.read(id, detail).await?;
            record.map(|record| self.open_record(record)).transpose()
        })
    }

    fn read_now(
        &self,
        id: &JobId,
        detail: Detail,
    ) -> Option<Result<Option<JobRecord>, StoreError>> {
        let open =
            |record: Option<JobRecord>| record.map(|record| self.open_record(record)).transpose();
        Some(self.inner.read_now(id, detail)?.and_then(open))
    }

    fn read_chunk<'a>(
        &'a self,
        result: &'a ResultRef,
        index: u32,
    ) -> StoreFuture<'a, Option<Bytes>> {
        Box::pin(async move {
            let Lease { id, epoch } = result.lease;
            let sealed = self.inner.read_chunk(result, index).await?;
            let open = |sealed| self.open(id, SealedPart::Chunk { epoch, index }, &sealed, 0);
            sealed.map(open).transpose()
        })
    }

    fn note_delivery(&self, id: &JobId, keep: Option<Duration>) {
        self.inner.note_delivery(id, keep);
    }

    fn subscribe(&self, id: &JobId) -> Subscription {
        self.inner.subscribe(id)
    }

    fn cancel<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, Cancellation> {
        self.inner.cancel(id)
    }

    fn remove<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, bool> {
        self.inner.remove(id)
    }

    fn extend<'a>(&'a self, id: &'a JobId, keep: Duration) -> StoreFuture<'a, bool> {
        self.inner.extend(id, keep)
    }

    fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
        Box::pin(async move {
            let mut claims = self.inner.claim(query).await?;
            let mut opened = Vec::with_capacity(claims.jobs.len());
            for mut claim in claims.jobs {
                match self.open_claim(&mut claim) {
                    Ok(()) => opened.push(claim),
                    // On an error, the job can be claimed again after its lease.
                    Err(error) => {
                        if let Ok(true) = self.give_up(&claim, &error).await {
                            claims.unreadable.push(claim.handle);
                        }
                    }
                }
            }
            claims.jobs = opened;
            Ok(claims)
        })
    }

    fn notified<'a>(&'a self, lease: &'a Lease, again: Option<Duration>) -> StoreFuture<'a, ()> {
        self.inner.notified(lease, again)
    }

    fn work(&self) -> Subscription {
        self.inner.work()
    }

    fn sweep(&self) -> StoreFuture<'_, Upkeep> {
        self.inner.sweep()
    }

    fn find(&self, handle: JobHandle) -> StoreFuture<'_, Option<JobId>> {
        self.inner.find(handle)
    }

    fn list<'a>(&'a self, query: &'a JobQuery) -> StoreFuture<'a, JobPage> {
        Box::pin(async move {
            let mut page = self.inner.list(query).await?;
            let listed = page.jobs.len();
            let opened = page.jobs.into_iter().map(|record| self.open_record(record));
            page.jobs = opened.filter_map(Result::ok).collect();
            page.unreadable += listed - page.jobs.len();
            Ok(page)
        })
    }

    fn usage(&self) -> Option<Usage> {
        self.inner.usage()
    }
}

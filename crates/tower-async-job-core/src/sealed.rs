mod parts;

use bytes::Bytes;

use crate::{
    claim::{Claim, ClaimQuery, Claims},
    end::{End, Report},
    error::StoreError,
    forward_job_store,
    id::JobId,
    interpose::{Interpose, Interposed},
    job::NewJob,
    lease::{Lease, Outside, Renewal},
    owner::{IdempotencyKey, Principal},
    properties::StoreProperties,
    query::{JobPage, JobQuery},
    record::{Created, Detail, JobRecord, ResultRef},
    seal::{SEALED, Seal, SealedPart},
    store::{JobStore, StoreFuture},
};

use self::parts::Sealing;

/// A store that seals the data of clients: requests, responses, partial results, metadata,
/// checkpoints and notifications. The inner store never sees them in the clear.
///
/// Still readable are the data that stores and operators need: ids, handles, routes, principals,
/// digests of keys, times and states, progress, problem documents, and the format, status and
/// length of messages.
///
/// A claimed job that cannot be opened ends as failed, like one that cannot be read. If this node
/// does not have its key, it is released for other nodes, and listed in [`Claims::left`].
///
/// With the feature `encryption`, `EncryptionKeys` is a ready seal.
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
pub struct Sealed<S>(Interposed<Sealing<S>>);

impl<S: JobStore> Sealed<S> {
    /// Wraps a store, and seals all data stored from now on. Data stored unsealed cannot be opened.
    pub fn new(store: S, seal: impl Seal) -> Self {
        Self(Interposed::new(Sealing::new(store, seal)))
    }

    /// Returns the inner store.
    pub const fn get_ref(&self) -> &S {
        &self.0.get_ref().inner
    }
}

forward_job_store! { { impl<S: JobStore> JobStore for Sealed<S> } this => this.0 }

impl<S: JobStore> Interpose for Sealing<S> {
    fn inner(&self) -> &dyn JobStore {
        &self.inner
    }

    fn properties(&self) -> &StoreProperties {
        &self.properties
    }

    fn create<'a>(&'a self, mut job: NewJob) -> StoreFuture<'a, Created> {
        Box::pin(async move {
            self.seal_job(&mut job)?;
            self.open_created(self.inner.create(job).await?)
        })
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

    fn report<'a>(&'a self, lease: &'a Lease, mut report: Report) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.seal_report(lease.id, &mut report)?;
            self.inner.report(lease, report).await
        })
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
            self.seal_end(lease, &mut end)?;
            self.inner.finish(lease, end).await
        })
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

    fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
        Box::pin(async move {
            let mut sealed = query.clone();
            sealed.newest_format |= SEALED;
            let mut claims = self.inner.claim(&sealed).await?;
            let mut opened = Vec::with_capacity(claims.jobs.len());
            for mut claim in claims.jobs {
                match self.open_claim(&mut claim) {
                    Ok(()) => opened.push(claim),
                    // On an error, the job can be claimed again after its lease.
                    Err(error) => match self.give_up(&claim, &error).await {
                        Ok(true) => claims.unreadable.push(claim.handle),
                        _ => claims.left.push((claim.handle, error)),
                    },
                }
            }
            claims.jobs = opened;
            Ok(claims)
        })
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
}

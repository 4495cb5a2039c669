//! The time limit of calls to stores that are shared or have leases.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::timeout;
use tower_async_job_core::{
    Cancellation, Claim, ClaimQuery, Claims, Created, Detail, End, IdempotencyKey, JobHandle,
    JobId, JobPage, JobQuery, JobRecord, JobStore, Lease, NewJob, Outside, Principal, Release,
    Released, Renewal, Report, ResultRef, StoreError, StoreFuture, StoreProperties, Subscription,
    Upkeep, Usage,
};

/// The time limit of a call.
const CALL: Duration = Duration::from_secs(5);

/// Limits the time of calls to a store, unless only this process uses it.
pub(super) fn bounded(store: Arc<dyn JobStore>) -> Arc<dyn JobStore> {
    if outlives_process(store.properties()) {
        return Arc::new(Timed { store });
    }
    store
}

/// Returns whether other processes, later ones included, may use a store.
pub(super) fn outlives_process(properties: &StoreProperties) -> bool {
    properties.lease.is_some() || properties.shared
}

/// A store whose calls fail as unavailable after the time limit.
struct Timed {
    store: Arc<dyn JobStore>,
}

impl fmt::Debug for Timed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

fn timed<'a, T: Send + 'a>(call: StoreFuture<'a, T>) -> StoreFuture<'a, T> {
    Box::pin(async move {
        let ended = timeout(CALL, call).await;
        ended.unwrap_or_else(|late| Err(StoreError::unavailable(late)))
    })
}

impl JobStore for Timed {
    fn properties(&self) -> &StoreProperties {
        self.store.properties()
    }

    fn new_id(&self, key: Option<&IdempotencyKey>, principal: Option<&Principal>) -> JobId {
        self.store.new_id(key, principal)
    }

    fn create(&self, job: NewJob) -> StoreFuture<'_, Created> {
        timed(self.store.create(job))
    }

    fn create_now(&self, job: NewJob) -> Result<Result<Created, StoreError>, NewJob> {
        self.store.create_now(job)
    }

    fn look_up<'a>(
        &'a self,
        principal: Option<&'a Principal>,
        key: &'a IdempotencyKey,
    ) -> StoreFuture<'a, Option<Created>> {
        timed(self.store.look_up(principal, key))
    }

    fn start<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
        timed(self.store.start(lease))
    }

    fn renew<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, Vec<Renewal>> {
        timed(self.store.renew(leases))
    }

    fn report<'a>(&'a self, lease: &'a Lease, report: Report) -> StoreFuture<'a, ()> {
        timed(self.store.report(lease, report))
    }

    fn reserve<'a>(&'a self, lease: &'a Lease, bytes: usize) -> StoreFuture<'a, ()> {
        timed(self.store.reserve(lease, bytes))
    }

    fn check_room(&self, bytes: usize) -> Result<(), StoreError> {
        self.store.check_room(bytes)
    }

    fn write_chunk<'a>(&'a self, lease: &'a Lease, index: u32, data: Bytes) -> StoreFuture<'a, ()> {
        timed(self.store.write_chunk(lease, index, data))
    }

    fn finish<'a>(&'a self, lease: &'a Lease, end: End) -> StoreFuture<'a, ()> {
        timed(self.store.finish(lease, end))
    }

    fn release<'a>(&'a self, leases: &'a [Lease], how: Release) -> StoreFuture<'a, Vec<Released>> {
        timed(self.store.release(leases, how))
    }

    fn resume<'a>(&'a self, id: &'a JobId, token: &'a [u8; 32]) -> StoreFuture<'a, Option<Claim>> {
        timed(self.store.resume(id, token))
    }

    fn renew_outside<'a>(
        &'a self,
        id: &'a JobId,
        outside: Outside,
        report: Report,
    ) -> StoreFuture<'a, Renewal> {
        timed(self.store.renew_outside(id, outside, report))
    }

    fn discard<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
        timed(self.store.discard(lease))
    }

    fn read<'a>(&'a self, id: &'a JobId, detail: Detail) -> StoreFuture<'a, Option<JobRecord>> {
        timed(self.store.read(id, detail))
    }

    fn read_now(
        &self,
        id: &JobId,
        detail: Detail,
    ) -> Option<Result<Option<JobRecord>, StoreError>> {
        self.store.read_now(id, detail)
    }

    fn read_chunk<'a>(
        &'a self,
        result: &'a ResultRef,
        index: u32,
    ) -> StoreFuture<'a, Option<Bytes>> {
        timed(self.store.read_chunk(result, index))
    }

    fn note_delivery(&self, id: &JobId, keep: Option<Duration>) {
        self.store.note_delivery(id, keep);
    }

    fn subscribe(&self, id: &JobId) -> Subscription {
        self.store.subscribe(id)
    }

    fn cancel<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, Cancellation> {
        timed(self.store.cancel(id))
    }

    fn remove<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, bool> {
        timed(self.store.remove(id))
    }

    fn extend<'a>(&'a self, id: &'a JobId, keep: Duration) -> StoreFuture<'a, bool> {
        timed(self.store.extend(id, keep))
    }

    fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
        timed(self.store.claim(query))
    }

    fn notified<'a>(&'a self, lease: &'a Lease, again: Option<Duration>) -> StoreFuture<'a, ()> {
        timed(self.store.notified(lease, again))
    }

    fn work(&self) -> Subscription {
        self.store.work()
    }

    fn sweep(&self) -> StoreFuture<'_, Upkeep> {
        timed(self.store.sweep())
    }

    fn find(&self, handle: JobHandle) -> StoreFuture<'_, Option<JobId>> {
        timed(self.store.find(handle))
    }

    fn list<'a>(&'a self, query: &'a JobQuery) -> StoreFuture<'a, JobPage> {
        timed(self.store.list(query))
    }

    fn usage(&self) -> Option<Usage> {
        self.store.usage()
    }
}

#[cfg(test)]
mod tests {
    use tower_async_job_core::MemoryStore;

    use super::*;

    #[test]
    fn a_store_of_this_process_alone_is_called_directly() {
        let store: Arc<dyn JobStore> = Arc::new(MemoryStore::new());
        assert!(Arc::ptr_eq(&bounded(store.clone()), &store));
        let leasing = MemoryStore::builder().lease_duration(Duration::from_secs(30));
        let store: Arc<dyn JobStore> = Arc::new(leasing.build());
        assert!(!Arc::ptr_eq(&bounded(store.clone()), &store));
    }
}

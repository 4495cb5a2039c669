//! Implementations of [`JobStore`](crate::JobStore) that forward to a shared store.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    claim::{Claim, ClaimQuery, Claims},
    end::{End, Report},
    error::StoreError,
    id::{JobHandle, JobId},
    job::NewJob,
    lease::{Lease, Outside, Release, Released, Renewal},
    owner::{IdempotencyKey, Principal},
    properties::{StoreProperties, Upkeep, Usage},
    query::{JobPage, JobQuery},
    record::{Cancellation, Created, Detail, JobRecord, ResultRef},
    store::{JobStore, StoreFuture},
    subscription::Subscription,
};

impl<T: JobStore + ?Sized> JobStore for Arc<T> {
    fn properties(&self) -> &StoreProperties {
        (**self).properties()
    }

    fn new_id(&self, key: Option<&IdempotencyKey>, principal: Option<&Principal>) -> JobId {
        (**self).new_id(key, principal)
    }

    fn create(&self, job: NewJob) -> StoreFuture<'_, Created> {
        (**self).create(job)
    }

    fn create_now(&self, job: NewJob) -> Result<Result<Created, StoreError>, NewJob> {
        (**self).create_now(job)
    }

    fn look_up<'a>(
        &'a self,
        principal: Option<&'a Principal>,
        key: &'a IdempotencyKey,
    ) -> StoreFuture<'a, Option<Created>> {
        (**self).look_up(principal, key)
    }

    fn start<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
        (**self).start(lease)
    }

    fn renew<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, Vec<Renewal>> {
        (**self).renew(leases)
    }

    fn report<'a>(&'a self, lease: &'a Lease, report: Report) -> StoreFuture<'a, ()> {
        (**self).report(lease, report)
    }

    fn reserve<'a>(&'a self, lease: &'a Lease, bytes: usize) -> StoreFuture<'a, ()> {
        (**self).reserve(lease, bytes)
    }

    fn check_room(&self, bytes: usize) -> Result<(), StoreError> {
        (**self).check_room(bytes)
    }

    fn write_chunk<'a>(&'a self, lease: &'a Lease, index: u32, data: Bytes) -> StoreFuture<'a, ()> {
        (**self).write_chunk(lease, index, data)
    }

    fn finish<'a>(&'a self, lease: &'a Lease, end: End) -> StoreFuture<'a, ()> {
        (**self).finish(lease, end)
    }

    fn release<'a>(&'a self, leases: &'a [Lease], how: Release) -> StoreFuture<'a, Vec<Released>> {
        (**self).release(leases, how)
    }

    fn resume<'a>(&'a self, id: &'a JobId, token: &'a [u8; 32]) -> StoreFuture<'a, Option<Claim>> {
        (**self).resume(id, token)
    }

    fn renew_outside<'a>(
        &'a self,
        id: &'a JobId,
        outside: Outside,
        report: Report,
    ) -> StoreFuture<'a, Renewal> {
        (**self).renew_outside(id, outside, report)
    }

    fn discard<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
        (**self).discard(lease)
    }

    fn read<'a>(&'a self, id: &'a JobId, detail: Detail) -> StoreFuture<'a, Option<JobRecord>> {
        (**self).read(id, detail)
    }

    fn read_now(
        &self,
        id: &JobId,
        detail: Detail,
    ) -> Option<Result<Option<JobRecord>, StoreError>> {
        (**self).read_now(id, detail)
    }

    fn read_chunk<'a>(
        &'a self,
        result: &'a ResultRef,
        index: u32,
    ) -> StoreFuture<'a, Option<Bytes>> {
        (**self).read_chunk(result, index)
    }

    fn note_delivery(&self, id: &JobId, keep: Option<Duration>) {
        (**self).note_delivery(id, keep);
    }

    fn subscribe(&self, id: &JobId) -> Subscription {
        (**self).subscribe(id)
    }

    fn cancel<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, Cancellation> {
        (**self).cancel(id)
    }

    fn remove<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, bool> {
        (**self).remove(id)
    }

    fn extend<'a>(&'a self, id: &'a JobId, keep: Duration) -> StoreFuture<'a, bool> {
        (**self).extend(id, keep)
    }

    fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
        (**self).claim(query)
    }

    fn notified<'a>(&'a self, lease: &'a Lease, again: Option<Duration>) -> StoreFuture<'a, ()> {
        (**self).notified(lease, again)
    }

    fn work(&self) -> Subscription {
        (**self).work()
    }

    fn sweep(&self) -> StoreFuture<'_, Upkeep> {
        (**self).sweep()
    }

    fn find(&self, handle: JobHandle) -> StoreFuture<'_, Option<JobId>> {
        (**self).find(handle)
    }

    fn list<'a>(&'a self, query: &'a JobQuery) -> StoreFuture<'a, JobPage> {
        (**self).list(query)
    }

    fn usage(&self) -> Option<Usage> {
        (**self).usage()
    }
}

use std::collections::HashSet;

use bytes::Bytes;
use tower_async_job_core::{
    Detail, End, JobId, JobStore, Lease, MemoryStore, Release, Released, Renewal, Report,
    StoreError, StoreFuture,
};

use crate::{fails, flaw, lock};

/// Returns the current lease of the job, with which a write is not fenced.
async fn current(store: &MemoryStore, lease: &Lease) -> Result<Lease, StoreError> {
    let record = store.read(&lease.id, Detail::Status).await?;
    Ok(record.map_or(*lease, |record| Lease::new(lease.id, record.epoch)))
}

flaw! {
    UnfencedFinish(()) {
        fn finish<'a>(&'a self, lease: &'a Lease, end: End) -> StoreFuture<'a, ()> {
            Box::pin(async move {
                let current = current(&self.inner, lease).await?;
                self.inner.finish(&current, end).await
            })
        }
    }
}

flaw! {
    UnfencedReport(()) {
        fn report<'a>(&'a self, lease: &'a Lease, report: Report) -> StoreFuture<'a, ()> {
            Box::pin(async move {
                let current = current(&self.inner, lease).await?;
                self.inner.report(&current, report).await
            })
        }
    }
}

flaw! {
    UnfencedRelease(()) {
        fn release<'a>(
            &'a self,
            leases: &'a [Lease],
            how: Release,
        ) -> StoreFuture<'a, Vec<Released>> {
            Box::pin(async move {
                let mut any = Vec::new();
                for lease in leases {
                    any.push(current(&self.inner, lease).await?);
                }
                self.inner.release(&any, how).await
            })
        }
    }
}

flaw! {
    UnfencedDiscard(()) {
        fn discard<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
            Box::pin(async move {
                let current = current(&self.inner, lease).await?;
                self.inner.discard(&current).await
            })
        }
    }
}

flaw! {
    UnfencedChunks(()) {
        fn write_chunk<'a>(
            &'a self,
            lease: &'a Lease,
            index: u32,
            data: Bytes,
        ) -> StoreFuture<'a, ()> {
            Box::pin(async move {
                let current = current(&self.inner, lease).await?;
                self.inner.write_chunk(&current, index, data).await
            })
        }
    }
}

flaw! {
    /// Leaves no trace of a discard, so that a later create succeeds.
    DiscardWithoutVoid(()) {
        fn discard<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
            Box::pin(async move {
                match self.inner.read(&lease.id, Detail::Status).await? {
                    Some(_) => self.inner.discard(lease).await,
                    None => Ok(()),
                }
            })
        }
    }
}

flaw! {
    /// Voids an id for the time of its first discard only.
    VoidOnce(HashSet<JobId>) {
        fn discard<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
            Box::pin(async move {
                let first = lock(&self.memory).insert(lease.id);
                if first { self.inner.discard(lease).await } else { Ok(()) }
            })
        }
    }
}

flaw! {
    /// Leaves no trace of a job that is gone, so that its run stores it again.
    GoneWithoutVoid(()) {
        fn renew<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, Vec<Renewal>> {
            Box::pin(async move {
                let mut renewals = self.inner.renew(leases).await?;
                for (lease, renewal) in leases.iter().zip(&mut renewals) {
                    if self.inner.read(&lease.id, Detail::Status).await?.is_none() {
                        *renewal = Renewal::Missing;
                    }
                }
                Ok(renewals)
            })
        }
    }
}

fails! {
    unfenced_finish: UnfencedFinish fails
        s07_stale_finish_is_rejected_after_reclaim, random_histories_break_no_promise,
        s08_the_epoch_rises_with_each_claim;
    unfenced_report: UnfencedReport fails
        s07_stale_finish_is_rejected_after_reclaim, random_histories_break_no_promise;
    unfenced_release: UnfencedRelease fails s07_stale_finish_is_rejected_after_reclaim;
    unfenced_discard: UnfencedDiscard fails s07_stale_finish_is_rejected_after_reclaim;
    unfenced_chunks: UnfencedChunks fails s07_chunks_of_a_stale_run_are_never_read;
    void_once: VoidOnce fails s79_a_repeated_discard_voids_the_id_for_another_lease;
    gone_without_void: GoneWithoutVoid fails
        s79_a_removed_job_is_not_stored_again_by_its_run,
        s79_a_job_forgotten_within_its_lease_is_not_stored_again_by_its_run;
    discard_without_void: DiscardWithoutVoid fails
        s79_a_create_overtaken_by_its_discard_stores_nothing;
}

use bytes::Bytes;
use tower_async_job_core::{
    Detail, End, JobStore, Lease, MemoryStore, Release, Released, Report, StoreError, StoreFuture,
};

use crate::{fails, flaw};

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

fails! {
    unfenced_finish: UnfencedFinish fails
        s07_stale_finish_is_rejected_after_reclaim, random_histories_break_no_promise;
    unfenced_report: UnfencedReport fails
        s07_stale_finish_is_rejected_after_reclaim, random_histories_break_no_promise;
    unfenced_release: UnfencedRelease fails s07_stale_finish_is_rejected_after_reclaim;
    unfenced_discard: UnfencedDiscard fails s07_stale_finish_is_rejected_after_reclaim;
    unfenced_chunks: UnfencedChunks fails s07_chunks_of_a_stale_run_are_seen_by_nobody;
    discard_without_void: DiscardWithoutVoid fails
        s79_a_create_that_its_discard_overtakes_makes_nothing;
}

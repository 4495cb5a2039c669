use tower_async_job_core::{
    Created, End, JobId, JobStore, Lease, NewJob, Outcome, StoreError, StoreFuture, SweepQuery,
    Upkeep,
};

use crate::{fails, flaw, lock};

flaw! {
    /// Makes room for a new job by dropping the oldest one.
    DropsTheOldest(Vec<JobId>) {
        fn create<'a>(&'a self, job: NewJob) -> StoreFuture<'a, Created> {
            Box::pin(async move {
                let id = job.id;
                let mut created = self.inner.create(job.clone()).await;
                if created.as_ref().is_err_and(StoreError::is_full) {
                    let oldest = lock(&self.memory).remove(0);
                    self.inner.cancel(&oldest).await?;
                    self.inner.remove(&oldest).await?;
                    created = self.inner.create(job).await;
                }
                lock(&self.memory).push(id);
                created
            })
        }
    }
}

flaw! {
    /// Looks for room before it looks for the key.
    RoomBeforeKey(usize) {
        fn create<'a>(&'a self, job: NewJob) -> StoreFuture<'a, Created> {
            Box::pin(async move {
                if job.idempotency.is_some() && *lock(&self.memory) > 0 {
                    return Err(StoreError::full());
                }
                *lock(&self.memory) += 1;
                self.inner.create(job).await
            })
        }
    }
}

flaw! {
    /// Counts the bytes of results that have expired.
    ExpiredTakeRoom(usize) {
        fn finish<'a>(&'a self, lease: &'a Lease, end: End) -> StoreFuture<'a, ()> {
            Box::pin(async move {
                if let Outcome::Done(response) = &end.outcome {
                    let mut bytes = lock(&self.memory);
                    *bytes += response.as_bytes().len();
                    if *bytes > 100_000 {
                        return Err(StoreError::full());
                    }
                }
                self.inner.finish(lease, end).await
            })
        }
    }
}

flaw! {
    /// Keeps the voids of discarded jobs.
    VoidForEver(usize) {
        fn discard<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
            *lock(&self.memory) += 1;
            self.inner.discard(lease)
        }

        fn sweep<'a>(&'a self, query: &'a SweepQuery) -> StoreFuture<'a, Upkeep> {
            Box::pin(async move {
                let mut upkeep = self.inner.sweep(query).await?;
                if *lock(&self.memory) > 0 {
                    upkeep.next = upkeep.next.or(self.inner.properties().lease);
                }
                Ok(upkeep)
            })
        }
    }
}

fails! {
    drops_the_oldest: DropsTheOldest fails
        s20_a_full_store_refuses_new_jobs_and_keeps_existing_ones;
    room_before_key: RoomBeforeKey fails s20_a_full_store_answers_known_keys;
    expired_take_room: ExpiredTakeRoom fails expired_results_make_room_for_a_large_one;
    void_for_ever: VoidForEver fails s79_a_void_is_forgotten_after_its_time;
}

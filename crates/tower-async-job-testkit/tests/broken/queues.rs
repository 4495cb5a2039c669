use std::collections::HashSet;

use tower_async_job_core::{
    Created, JobId, JobStore, NewJob, QueueLimit, Start, StoreError, StoreFuture,
};

use crate::{fails, flaw, lock};

flaw! {
    QueueWithoutLimit(()) {
        fn create<'a>(&'a self, mut job: NewJob) -> StoreFuture<'a, Created> {
            job.queue_limit = QueueLimit::NONE;
            self.inner.create(job)
        }
    }
}

flaw! {
    /// Limits all principals together.
    QuotaOfAll(()) {
        fn create<'a>(&'a self, mut job: NewJob) -> StoreFuture<'a, Created> {
            let QueueLimit { overall, per_principal, .. } = job.queue_limit;
            job.queue_limit = QueueLimit::new(overall.min(per_principal), per_principal);
            self.inner.create(job)
        }
    }
}

flaw! {
    /// Counts the jobs that were created, whatever became of them.
    QueueNeverLeft(HashSet<JobId>) {
        fn create<'a>(&'a self, mut job: NewJob) -> StoreFuture<'a, Created> {
            Box::pin(async move {
                let created = lock(&self.memory).len();
                let QueueLimit { overall, per_principal, .. } = job.queue_limit;
                job.queue_limit = QueueLimit::NONE;
                if overall != usize::MAX && job.start != Start::Running {
                    QueueLimit::new(overall, per_principal).check(created, None)?;
                }
                lock(&self.memory).insert(job.id);
                self.inner.create(job).await
            })
        }
    }
}

flaw! {
    /// Limits jobs that run at once too.
    QueueOfRunningJobs(()) {
        fn create<'a>(&'a self, job: NewJob) -> StoreFuture<'a, Created> {
            Box::pin(async move {
                job.queue_limit.check(1, None)?;
                self.inner.create(job).await
            })
        }
    }
}

flaw! {
    /// Checks the limits before the id and the key.
    QueueBeforeKey(usize) {
        fn create<'a>(&'a self, job: NewJob) -> StoreFuture<'a, Created> {
            Box::pin(async move {
                job.queue_limit.check(*lock(&self.memory), None)?;
                *lock(&self.memory) += 1;
                self.inner.create(job).await
            })
        }
    }
}

flaw! {
    /// Stores the jobs that it refuses.
    RefusedAndStored(()) {
        fn create<'a>(&'a self, mut job: NewJob) -> StoreFuture<'a, Created> {
            Box::pin(async move {
                let answer = self.inner.create(job.clone()).await;
                if answer.as_ref().is_err_and(StoreError::is_queue_full) {
                    job.queue_limit = QueueLimit::NONE;
                    self.inner.create(job).await?;
                }
                answer
            })
        }
    }
}

flaw! {
    /// Learns too late that the queue is full.
    QueueCheckedSeldom(usize) {
        fn create<'a>(&'a self, mut job: NewJob) -> StoreFuture<'a, Created> {
            Box::pin(async move {
                let creates = {
                    let mut creates = lock(&self.memory);
                    *creates += 1;
                    *creates
                };
                if creates % 8 != 0 {
                    job.queue_limit = QueueLimit::NONE;
                }
                self.inner.create(job).await
            })
        }
    }
}

fails! {
    queue_without_limit: QueueWithoutLimit fails
        s38_a_create_beyond_the_queue_limit_stores_nothing,
        s38_a_principal_beyond_its_quota_leaves_others_alone,
        s38_a_job_that_runs_at_once_is_stored_though_the_queue_is_full;
    quota_of_all: QuotaOfAll fails s38_a_principal_beyond_its_quota_leaves_others_alone;
    queue_never_left: QueueNeverLeft fails
        s38_jobs_count_as_waiting_exactly_while_they_are_queued,
        s38_the_numbers_of_waiting_jobs_are_right_after_any_history,
        s38_a_create_beyond_the_queue_limit_stores_nothing;
    queue_of_running_jobs: QueueOfRunningJobs fails
        s38_a_job_that_runs_at_once_is_stored_though_the_queue_is_full;
    queue_before_key: QueueBeforeKey fails s38_repeats_are_answered_though_the_queue_is_full;
    refused_and_stored: RefusedAndStored fails s38_a_create_beyond_the_queue_limit_stores_nothing;
    queue_checked_seldom: QueueCheckedSeldom fails
        s38_creates_at_once_exceed_the_queue_limit_by_those_in_flight_at_most;
}

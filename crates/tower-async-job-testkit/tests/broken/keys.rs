use std::collections::HashMap;

use tower_async_job_core::{
    Created, Detail, IdempotencyKey, JobId, JobStore, NewJob, Principal, StoreFuture,
};

use crate::{fails, flaw, lock};

flaw! {
    /// Checks the key first, and writes afterwards.
    CheckThenWrite(HashMap<String, JobId>) {
        fn create<'a>(&'a self, mut job: NewJob) -> StoreFuture<'a, Created> {
            Box::pin(async move {
                let Some(key) = job.idempotency.take() else {
                    return self.inner.create(job).await;
                };
                let found = lock(&self.memory).get(key.as_str()).copied();
                if let Some(id) = found
                    && let Some(record) = self.inner.read(&id, Detail::Status).await?
                {
                    return Ok(Created::Existing(Box::new(record)));
                }
                tokio::task::yield_now().await;
                lock(&self.memory).insert(key.as_str().to_owned(), job.id);
                self.inner.create(job).await
            })
        }
    }
}

flaw! {
    /// Ignores the principals of keys.
    OneForAllPrincipals(()) {
        fn create<'a>(&'a self, mut job: NewJob) -> StoreFuture<'a, Created> {
            job.principal = None;
            self.inner.create(job)
        }
    }
}

flaw! {
    FingerprintIgnored(()) {
        fn create<'a>(&'a self, mut job: NewJob) -> StoreFuture<'a, Created> {
            let same = |key: IdempotencyKey| IdempotencyKey::new(key.as_str(), [0; 32]).unwrap();
            job.idempotency = job.idempotency.map(same);
            self.inner.create(job)
        }
    }
}

flaw! {
    /// Creates another job when a create is repeated.
    CreateNotRepeated(()) {
        fn create<'a>(&'a self, mut job: NewJob) -> StoreFuture<'a, Created> {
            job.id = JobId::random();
            self.inner.create(job)
        }
    }
}

flaw! {
    /// Derives the id of a job from its key alone.
    IdOfItsKey(()) {
        fn new_id(&self, key: Option<&IdempotencyKey>, _: Option<&Principal>) -> JobId {
            key.map_or_else(JobId::random, |_| JobId::from_bits(7))
        }
    }
}

fails! {
    id_of_its_key: IdOfItsKey fails every_generated_id_is_different;
    check_then_write: CheckThenWrite fails
        s43_one_key_makes_one_job, random_histories_break_no_promise,
        an_immediate_create_answers_as_create_does, s45_keys_of_principals_never_collide,
        s73_key_of_a_result_that_was_delivered_counts_until_its_retention,
        s73_key_of_a_removed_result_counts_until_its_retention,
        a_create_dropped_half_way_takes_effect_as_a_whole_or_not_at_all;
    one_for_all_principals: OneForAllPrincipals fails
        s45_one_key_of_two_principals_makes_two_jobs, a_new_job_is_read_as_it_was_created,
        a_list_of_a_principal_has_each_job_once_while_jobs_come_and_end,
        expired_jobs_are_listed_by_the_principal_that_they_had,
        s69_no_name_is_kept_of_an_expired_job;
    fingerprint_ignored: FingerprintIgnored fails s44_one_key_with_another_request_is_refused;
    create_not_repeated: CreateNotRepeated fails
        a_repeated_create_gives_the_same_lease, a_create_of_unknown_outcome_is_repeated,
        a_create_with_the_id_of_another_job_is_a_conflict, an_offered_job_waits_longer_than_a_lease,
        s33_an_offered_job_ends_at_its_deadline, a_sweep_names_the_jobs_that_ended_by_themselves;
}

use std::collections::HashMap;

use tower_async_job_core::{Created, Detail, IdempotencyKey, JobId, JobStore, NewJob, StoreFuture};

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

fails! {
    check_then_write: CheckThenWrite fails
        s43_one_key_makes_one_job, random_histories_break_no_promise;
    one_for_all_principals: OneForAllPrincipals fails
        s45_one_key_of_two_principals_makes_two_jobs;
    fingerprint_ignored: FingerprintIgnored fails s44_one_key_with_another_request_is_refused;
    create_not_repeated: CreateNotRepeated fails
        a_repeated_create_gives_the_same_lease, a_create_of_unknown_outcome_is_repeated;
}

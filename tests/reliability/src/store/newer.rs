//! The next version of a store, whose records and messages have newer formats.

use std::sync::Arc;

use bytes::Bytes;
use tower_async_job::store::{
    ClaimQuery, Claims, Created, Detail, End, Interpose, Interposed, JobId, JobRecord, JobStore,
    Lease, NewJob, Outcome, RecordedOutcome, StoreError, StoreFuture, StoredRequest,
    StoredResponse, Task,
};
use tower_async_job_redis::RedisStore;
use tower_async_job_sqlite::SqliteStore;

/// A store that writes requests and responses in the next format, and reads both.
#[derive(Debug)]
struct Newer(Arc<dyn JobStore>);

/// Makes this process one of the next version. PostgreSQL has its records' format in its schema, and
/// knows such processes by the name of their connections.
pub(crate) fn begin() {
    SqliteStore::use_next_format();
    RedisStore::use_next_format();
}

/// Returns the store as the next version has it.
pub(super) fn wrap(store: Arc<dyn JobStore>) -> Arc<dyn JobStore> {
    Arc::new(Interposed::new(Newer(store)))
}

/// Returns a message of this version in the next format.
fn newer(message: &Bytes) -> Bytes {
    with_format(message, |format| format + 1)
}

/// Returns a message of the next version, or of this one, in the format of this version.
fn current(message: &Bytes) -> Bytes {
    with_format(message, |_| StoredRequest::FORMAT)
}

fn with_format(message: &Bytes, change: impl Fn(u8) -> u8) -> Bytes {
    let mut message = message.to_vec();
    if let Some(format) = message.first_mut() {
        *format = change(*format);
    }
    message.into()
}

fn read(mut record: JobRecord) -> JobRecord {
    if let Some(RecordedOutcome::Response(message) | RecordedOutcome::Head(message)) =
        &mut record.outcome
    {
        *message = StoredResponse::from_bytes(current(message.as_bytes()));
    }
    record
}

fn created(created: Created) -> Created {
    match created {
        Created::Existing(record) => Created::Existing(Box::new(read(*record))),
        created => created,
    }
}

impl Interpose for Newer {
    fn inner(&self) -> &dyn JobStore {
        &*self.0
    }

    fn create(&self, mut job: NewJob) -> StoreFuture<'_, Created> {
        if let Some(request) = &mut job.request {
            *request = StoredRequest::from_bytes(newer(request.as_bytes()));
        }
        Box::pin(async { self.0.create(job).await.map(created) })
    }

    fn look_up<'a>(
        &'a self,
        principal: Option<&'a tower_async_job::store::Principal>,
        key: &'a tower_async_job::store::IdempotencyKey,
    ) -> StoreFuture<'a, Option<Created>> {
        Box::pin(async move { Ok(self.0.look_up(principal, key).await?.map(created)) })
    }

    fn finish<'a>(&'a self, lease: &'a Lease, mut end: End) -> StoreFuture<'a, ()> {
        if let Outcome::Done(message) | Outcome::Streamed { head: message, .. } = &mut end.outcome {
            *message = StoredResponse::from_bytes(newer(message.as_bytes()));
        }
        self.0.finish(lease, end)
    }

    fn read<'a>(&'a self, id: &'a JobId, detail: Detail) -> StoreFuture<'a, Option<JobRecord>> {
        Box::pin(async move { Ok(self.0.read(id, detail).await?.map(read)) })
    }

    fn read_now(
        &self,
        id: &JobId,
        detail: Detail,
    ) -> Option<Result<Option<JobRecord>, StoreError>> {
        let record = self.0.read_now(id, detail)?;
        Some(record.map(|record| record.map(read)))
    }

    fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
        let query = query.clone().with_newest_format(query.newest_format + 1);
        Box::pin(async move {
            let mut claims = self.0.claim(&query).await?;
            for claim in &mut claims.jobs {
                if let Task::Run(request) = &mut claim.task {
                    *request = StoredRequest::from_bytes(current(request.as_bytes()));
                }
            }
            Ok(claims)
        })
    }
}

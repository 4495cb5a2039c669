//! Jobs that are created.

use std::time::SystemTime;

use tokio_postgres::types::Type;
use tower_async_job_core::{
    Detail, JobId, JobRecord, NewJob, QueueLimit, Start, StoreError, StoreLimit,
};

use crate::{
    batch::Operation,
    database::{Database, Retry, column},
    job::{
        Id, handle_number, ids, narrow, owner_hash, pending_status_number, protocol_number,
        record_of, refused, route_hash,
    },
    operation::in_order,
    time::{Micros, micros, of_day, to_day},
};

/// A job that is created.
#[derive(Debug)]
pub(crate) struct Create {
    job: NewJob,
    lease: Micros,
    digest: Option<[u8; 32]>,
}

/// The answer to a create.
#[derive(Debug)]
pub(crate) enum Made {
    /// It is stored, at this time.
    Stored(SystemTime),
    /// The same submission has created this job. Without a record, it may have done so meanwhile.
    Existing(JobId, Option<Box<JobRecord>>),
    KeyReused,
}

impl Create {
    pub(crate) fn new(job: NewJob, lease: Micros) -> Self {
        let key = job.idempotency.as_ref();
        Self {
            digest: key.map(|key| key.digest(job.principal.as_ref())),
            job,
            lease,
        }
    }

    fn is_running(&self) -> bool {
        self.job.start == Start::Running
    }

    fn attempt(&self) -> i32 {
        let attempt = i32::try_from(self.job.attempt).unwrap_or(i32::MAX);
        attempt.max(self.is_running().into())
    }

    fn limit(&self) -> Option<QueueLimit> {
        let is_limited = !self.is_running() && self.job.queue_limit != QueueLimit::NONE;
        is_limited.then_some(self.job.queue_limit)
    }

    fn owner_limit(&self) -> Option<i64> {
        let limit = self.limit().filter(|_| self.job.principal.is_some())?;
        Some(narrow(limit.per_principal as u64))
    }
}

/// Declares a column of the batch as a parameter.
macro_rules! column_of {
    ($batch:expr, |$create:ident| $value:expr) => {
        $batch
            .iter()
            .map(|$create: &Create| $value)
            .collect::<Vec<_>>()
    };
}

impl Operation for Create {
    type Answer = Made;

    fn id(&self) -> JobId {
        self.job.id
    }

    /// A statement does not see the jobs of one that is under way, so those that are counted take
    /// turns.
    fn takes_turns(&self) -> bool {
        self.limit().is_some()
    }

    fn bytes(&self) -> usize {
        let request = self.job.request.as_ref().map_or(0, |request| request.len());
        request + self.job.notify.as_ref().map_or(0, bytes::Bytes::len)
    }

    async fn perform(
        batch: &[Self],
        database: &Database,
    ) -> Result<Vec<Result<Made, StoreError>>, StoreError> {
        let lease = batch.first().map_or(0, |create| create.lease);
        let id = ids(batch.iter().map(|create| create.job.id));
        let handle = column_of!(batch, |c| handle_number(c.job.handle));
        let state = column_of!(batch, |c| i16::from(c.is_running()));
        let offered = column_of!(batch, |c| c.job.start == Start::Offered);
        let epoch = column_of!(batch, |c| narrow(c.job.epoch));
        let attempt = column_of!(batch, |c| c.attempt());
        let reports = column_of!(batch, |c| narrow(c.job.first_reports()));
        let running_for = column_of!(batch, |c| micros(c.job.running_for));
        let created = column_of!(batch, |c| c.job.created.map(of_day));
        let deadline = column_of!(batch, |c| micros(c.job.deadline));
        let max_attempts = column_of!(batch, |c| {
            i32::try_from(c.job.max_attempts).unwrap_or(i32::MAX).max(1)
        });
        let keep = column_of!(batch, |c| micros(c.job.retention.result));
        let tombstone = column_of!(batch, |c| micros(c.job.retention.tombstone));
        let protocol = column_of!(batch, |c| protocol_number(c.job.protocol));
        let status = column_of!(batch, |c| pending_status_number(c.job.pending_status));
        let route = column_of!(batch, |c| c.job.route.as_bytes());
        let route_hash = column_of!(batch, |c| route_hash(&c.job.route));
        let owner = column_of!(batch, |c| {
            c.job
                .principal
                .as_ref()
                .map(|owner| owner.as_str().as_bytes())
        });
        let owner_hash = column_of!(batch, |c| owner_hash(c.job.principal.as_ref()));
        let digest = column_of!(batch, |c| c.digest.as_ref().map(|digest| &digest[..]));
        let fingerprint = column_of!(batch, |c| {
            c.job.idempotency.as_ref().map(|key| &key.fingerprint()[..])
        });
        let request = column_of!(batch, |c| {
            c.job
                .request
                .as_ref()
                .map(|request| &request.as_bytes()[..])
        });
        let format = column_of!(batch, |c| {
            let format = c
                .job
                .request
                .as_ref()
                .map(|request| request.format().unwrap_or(0));
            format.map(i16::from)
        });
        let notify = column_of!(batch, |c| c.job.notify.as_deref());
        let queue_limit = column_of!(batch, |c| {
            c.limit().map(|limit| narrow(limit.overall as u64))
        });
        let owner_limit = column_of!(batch, |c| c.owner_limit());
        let parameters = [
            (&lease as _, Type::INT8),
            (&id as _, Type::UUID_ARRAY),
            (&handle as _, Type::INT8_ARRAY),
            (&state as _, Type::INT2_ARRAY),
            (&offered as _, Type::BOOL_ARRAY),
            (&epoch as _, Type::INT8_ARRAY),
            (&attempt as _, Type::INT4_ARRAY),
            (&reports as _, Type::INT8_ARRAY),
            (&running_for as _, Type::INT8_ARRAY),
            (&created as _, Type::INT8_ARRAY),
            (&deadline as _, Type::INT8_ARRAY),
            (&max_attempts as _, Type::INT4_ARRAY),
            (&keep as _, Type::INT8_ARRAY),
            (&tombstone as _, Type::INT8_ARRAY),
            (&protocol as _, Type::INT2_ARRAY),
            (&status as _, Type::INT2_ARRAY),
            (&route as _, Type::BYTEA_ARRAY),
            (&route_hash as _, Type::INT8_ARRAY),
            (&owner as _, Type::BYTEA_ARRAY),
            (&owner_hash as _, Type::INT8_ARRAY),
            (&digest as _, Type::BYTEA_ARRAY),
            (&fingerprint as _, Type::BYTEA_ARRAY),
            (&request as _, Type::BYTEA_ARRAY),
            (&format as _, Type::INT2_ARRAY),
            (&notify as _, Type::BYTEA_ARRAY),
            (&queue_limit as _, Type::INT8_ARRAY),
            (&owner_limit as _, Type::INT8_ARRAY),
        ];
        let rows = database
            .call("create_jobs", &parameters, Retry::Always)
            .await?;
        let mut stored = rows
            .iter()
            .filter(|row| matches!(column(row, "place"), Ok(None::<i32>)));
        let stored: Micros = match stored.next() {
            Some(row) => column(row, "number")?,
            None => return Err(StoreError::unavailable("a create has no end")),
        };
        let usual = created
            .iter()
            .map(|created| Made::Stored(to_day(created.unwrap_or(stored))));
        in_order(usual, &rows, |row| {
            let number: Option<i64> = column(row, "number")?;
            let place: i32 = column(row, "place")?;
            let limit = batch[place.unsigned_abs() as usize].job.queue_limit;
            let limit_of = |limit: usize| StoreLimit::new("queue_limit", limit as u64);
            match column::<i32>(row, "verdict")? {
                1 => Ok(Made::Stored(to_day(number.unwrap_or(0)))),
                2 => {
                    let record = record_of(row, Detail::Status)?.map(Box::new);
                    Ok(Made::Existing(column::<Id>(row, "id")?.0, record))
                }
                3 => Ok(Made::KeyReused),
                4 => Err(StoreError::conflict()),
                5 => Err(StoreError::queue_full().with_limit(limit_of(limit.overall))),
                6 => {
                    let limit = limit_of(limit.per_principal);
                    Err(StoreError::quota_exceeded().with_limit(limit))
                }
                _ => {
                    let format = i32::try_from(number.unwrap_or(0));
                    Err(refused(format.unwrap_or(i32::MAX)))
                }
            }
        })
    }
}

//! Runs that end.

use bytes::Bytes;
use http_polling::JobState;
use tokio_postgres::types::Type;
use tower_async_job_core::{End, JobId, Lease, Outcome, StoreError};

use super::{held, in_order, running::StoredReport};
use crate::{
    batch::Operation,
    database::{Database, Retry, column},
    job::{ids, narrow},
};

/// The end of a run.
#[derive(Debug)]
pub(crate) struct Finish {
    lease: Lease,
    state: i16,
    data: Bytes,
    body_len: Option<i64>,
    chunks: Option<i32>,
    report: StoredReport,
}

/// The effects of an end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// A notification has become due.
    pub(crate) is_due: bool,
}

impl Finish {
    pub(crate) fn new(lease: Lease, end: End) -> Result<Self, StoreError> {
        let state = match end.outcome.state() {
            JobState::Done => 2,
            JobState::TimedOut => 4,
            JobState::Lost => 5,
            _ => 3,
        };
        let (mut body_len, mut count) = (None, None);
        let data = match end.outcome {
            Outcome::Done(response) => {
                body_len = Some(narrow(response.body_len()));
                response.as_bytes().clone()
            }
            Outcome::Streamed { head, chunks, len } => {
                body_len = Some(narrow(len));
                count = Some(i32::try_from(chunks).unwrap_or(i32::MAX));
                head.as_bytes().clone()
            }
            Outcome::Failed(problem) | Outcome::TimedOut(problem) | Outcome::Lost(problem) => {
                problem.to_json().into()
            }
            _ => {
                return Err(StoreError::unavailable(
                    "this kind of outcome cannot be stored",
                ));
            }
        };
        Ok(Self {
            lease,
            state,
            data,
            body_len,
            chunks: count,
            report: StoredReport::of(end.report.unwrap_or_default())?,
        })
    }
}

impl Operation for Finish {
    type Answer = Ended;

    fn id(&self) -> JobId {
        self.lease.id
    }

    fn bytes(&self) -> usize {
        self.data.len() + self.report.len()
    }

    async fn perform(
        batch: &[Self],
        database: &Database,
    ) -> Result<Vec<Result<Ended, StoreError>>, StoreError> {
        let jobs = ids(batch.iter().map(|end| end.lease.id));
        let epochs: Vec<_> = batch.iter().map(|end| narrow(end.lease.epoch)).collect();
        let states: Vec<_> = batch.iter().map(|end| end.state).collect();
        let data: Vec<&[u8]> = batch.iter().map(|end| &*end.data).collect();
        let lengths: Vec<_> = batch.iter().map(|end| end.body_len).collect();
        let chunks: Vec<_> = batch.iter().map(|end| end.chunks).collect();
        let field = |place: usize| -> Vec<_> {
            let fields = batch.iter().map(|end| end.report.fields());
            fields.map(|fields| fields[place]).collect()
        };
        let fields = [0, 1, 2].map(field);
        let parameters = [
            (&jobs as _, Type::UUID_ARRAY),
            (&epochs as _, Type::INT8_ARRAY),
            (&states as _, Type::INT2_ARRAY),
            (&data as _, Type::BYTEA_ARRAY),
            (&lengths as _, Type::INT8_ARRAY),
            (&chunks as _, Type::INT4_ARRAY),
            (&fields[0] as _, Type::BYTEA_ARRAY),
            (&fields[1] as _, Type::BYTEA_ARRAY),
            (&fields[2] as _, Type::BYTEA_ARRAY),
        ];
        let rows = database
            .call("finish_jobs", &parameters, Retry::Always)
            .await?;
        let usual = Ended { is_due: false };
        in_order(batch.iter().map(|_| usual), &rows, |row| {
            held(row)?;
            let is_due = column(row, "is_due")?;
            Ok(Ended { is_due })
        })
    }
}

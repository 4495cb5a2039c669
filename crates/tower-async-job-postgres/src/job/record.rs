//! Jobs as callers see them.

use bytes::Bytes;
use http_polling::{JobState, Problem};
use tokio_postgres::Row;
use tower_async_job_core::{
    Detail, JobRecord, Json, Lease, NotificationStatus, RecordedOutcome, ResultRef, StoreError,
    StoredResponse,
};

use super::{
    numbers::{Id, handle_of, owner_of, pending_status_of, protocol_of, text_of},
    reasons::problem_of,
    state::state_of,
};
use crate::{
    database::column,
    time::{span, to_day},
};

/// The result of reading a job: `None` if there is none, or it is to be forgotten.
pub(crate) type Found = Result<Option<JobRecord>, StoreError>;

/// Returns the error of a record that the database refuses to interpret, by its newer format or 0.
pub(crate) fn refused(format: i32) -> StoreError {
    match u32::try_from(format) {
        Ok(format) if format > 0 => StoreError::unsupported_version(format),
        _ => StoreError::corrupt("a column of its record is malformed"),
    }
}

/// Returns the job in a row of the type `record`.
pub(crate) fn record_of(row: &Row, detail: Detail) -> Found {
    if let Some(format) = column::<Option<i32>>(row, "refusal")? {
        return Err(refused(format));
    }
    let Some(state) = column::<Option<i16>>(row, "state")?.and_then(state_of) else {
        return Ok(None);
    };
    let now: i64 = column(row, "moment")?;
    let created: i64 = column(row, "created")?;
    let started: Option<i64> = column(row, "started")?;
    let ended: Option<i64> = column(row, "ended")?;
    let epoch: i64 = column(row, "epoch")?;
    // A clock that was set back shows no time before the creation.
    let day = |time: i64| to_day(time.max(created));
    let id = column::<Id>(row, "id")?.0;
    let mut record = JobRecord::new(id, handle_of(column(row, "handle")?), state);
    let is_running = column::<i16>(row, "row_state")? == 1;
    let reports = column::<i64>(row, "reports")?.unsigned_abs();
    record.version = JobRecord::version_of(state, epoch.unsigned_abs(), is_running, reports);
    record.epoch = epoch.unsigned_abs();
    record.attempt = column::<i32>(row, "attempt")?.unsigned_abs();
    record.route = text_of(column(row, "route")?)?;
    record.protocol = protocol_of(column(row, "protocol")?);
    record.pending_status = pending_status_of(column(row, "pending_status")?);
    record.owner = owner_of(column(row, "owner_kind")?, column(row, "owner")?)?;
    record.created = to_day(created);
    record.started = started.map(day);
    record.ended = ended.map(day);
    record.age = span(created, now);
    record.running_for = started.map(|started| span(started, ended.unwrap_or(now)));
    if state == JobState::Expired {
        return Ok(Some(record));
    }
    let lease_until: Option<i64> = column(row, "number")?;
    record.lease_remaining = lease_until.map(|until| span(now, until));
    if let Some(json) = column::<Option<&[u8]>>(row, "progress")? {
        record.progress = Some(serde_json::from_slice(json).map_err(StoreError::corrupt)?);
    }
    record.partial = bytes(row, "partial")?.map(Json::from_bytes);
    record.metadata = bytes(row, "metadata")?.map(Json::from_bytes);
    if state.is_final() {
        if column::<Option<i16>>(row, "notify_state")?.is_some() {
            let attempts = column::<i32>(row, "notify_attempts")?.unsigned_abs();
            let is_due = column(row, "is_notify_due")?;
            record.notification = Some(NotificationStatus::new(attempts, is_due));
        }
        let chunks: Option<i32> = column(row, "chunks")?;
        let body_len: Option<i64> = column(row, "body_len")?;
        record.result = body_len.map(|len| {
            let lease = Lease::new(id, record.epoch);
            let result = ResultRef::new(lease, len.unsigned_abs());
            match chunks {
                Some(chunks) => result.with_chunks(chunks.unsigned_abs()),
                None => result,
            }
        });
        if detail != Detail::Status {
            record.outcome = outcome(row, state, chunks.is_some())?;
        }
    }
    Ok(Some(record))
}

fn outcome(
    row: &Row,
    state: JobState,
    is_streamed: bool,
) -> Result<Option<RecordedOutcome>, StoreError> {
    if let Some(reason) = column::<Option<i16>>(row, "reason")? {
        let problem = problem_of(reason, column(row, "attempt")?);
        return Ok(problem.map(|problem| RecordedOutcome::Problem(Box::new(problem))));
    }
    let data = bytes(row, "data")?;
    Ok(Some(match (state, data) {
        (JobState::Done, Some(data)) if is_streamed => {
            RecordedOutcome::Head(StoredResponse::from_bytes(data))
        }
        (JobState::Done, Some(data)) => RecordedOutcome::Response(StoredResponse::from_bytes(data)),
        (JobState::Failed | JobState::TimedOut | JobState::Lost, Some(data)) => {
            let problem = Problem::from_json(&data).map_err(StoreError::corrupt)?;
            RecordedOutcome::Problem(Box::new(problem))
        }
        (JobState::Done | JobState::Failed | JobState::TimedOut, None) => {
            return Err(StoreError::corrupt("its outcome is missing"));
        }
        _ => return Ok(None),
    }))
}

fn bytes(row: &Row, name: &str) -> Result<Option<Bytes>, StoreError> {
    let bytes: Option<&[u8]> = column(row, name)?;
    Ok(bytes.map(Bytes::copy_from_slice))
}

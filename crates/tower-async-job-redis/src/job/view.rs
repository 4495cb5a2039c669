//! A job as callers see it.

use bytes::Bytes;
use http_polling::{JobState, Problem};
use redis::Value;
use tower_async_job_core::{
    JobRecord, Json, NotificationStatus, RecordedOutcome, ResultRef, StoreError, StoredResponse,
};

use super::row::{Row, State};
use crate::{
    time::{Micros, span, to_day},
    value::{bytes, list},
};

/// The contents of a job that a record shows.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    progress: Option<Bytes>,
    partial: Option<Bytes>,
    metadata: Option<Bytes>,
    outcome: Option<Bytes>,
}

impl Parts {
    /// Reads the contents, the last of which is left out if it was not wanted.
    pub(crate) fn read(value: Value) -> Result<Self, StoreError> {
        let mut values = list(value)?.into_iter();
        let mut next = || values.next().and_then(bytes);
        Ok(Self {
            progress: next(),
            partial: next(),
            metadata: next(),
            outcome: next(),
        })
    }
}

impl Row {
    /// Returns the state at this time, before or after a sweep. `None` if there is no job, or it is
    /// to be forgotten.
    pub(crate) fn state_at(&self, now: Micros) -> Option<JobState> {
        let is_known = match self.state {
            State::Queued | State::Running => true,
            State::Expired | State::Void => now < self.due,
            State::Dropped => now < self.due.saturating_add(self.tombstone),
            _ if now < self.due => true,
            _ => {
                let ended = self.ended.unwrap_or(self.created);
                let dropped_until = ended.saturating_add(self.keep).max(self.due);
                let known = now < dropped_until.saturating_add(self.tombstone);
                return known.then_some(JobState::Expired);
            }
        };
        self.state.shown().filter(|_| is_known)
    }

    fn result(&self) -> Option<ResultRef> {
        let result = ResultRef::new(self.lease(), self.body_len?);
        Some(match self.chunks {
            Some(chunks) => result.with_chunks(chunks),
            None => result,
        })
    }

    fn outcome(&self, parts: &Parts) -> Result<Option<RecordedOutcome>, StoreError> {
        let Some(data) = parts.outcome.clone() else {
            return Ok(None);
        };
        Ok(Some(match (self.state, self.chunks) {
            (State::Done, None) => RecordedOutcome::Response(StoredResponse::from_bytes(data)),
            (State::Done, Some(_)) => RecordedOutcome::Head(StoredResponse::from_bytes(data)),
            _ => {
                let problem = Problem::from_json(&data).map_err(StoreError::corrupt)?;
                RecordedOutcome::Problem(Box::new(problem))
            }
        }))
    }

    pub(crate) fn version(&self, state: JobState) -> u64 {
        let is_running = self.state == State::Running;
        JobRecord::version_of(state, self.epoch, is_running, self.reports)
    }
}

/// Returns the job at this time. `None` if there is none, or it is to be forgotten.
pub(crate) fn record(
    row: &Row,
    parts: &Parts,
    now: Micros,
) -> Result<Option<JobRecord>, StoreError> {
    let Some(state) = row.state_at(now) else {
        return Ok(None);
    };
    let mut record = JobRecord::new(row.id, row.handle, state);
    record.version = row.version(state);
    record.epoch = row.epoch;
    record.attempt = row.attempt;
    record.route = row.route.as_str().into();
    record.protocol = row.protocol;
    record.pending_status = row.pending_status;
    record.owner = row.owner.clone();
    record.created = to_day(row.created);
    record.started = row.started.map(to_day);
    record.ended = row.ended.map(to_day);
    record.age = span(row.created, now);
    let until = row.ended.unwrap_or(now);
    record.running_for = row.started.map(|started| span(started, until));
    if state == JobState::Expired {
        return Ok(Some(record));
    }
    record.lease_remaining = row.is_leased.then(|| span(now, row.due));
    if let Some(progress) = &parts.progress {
        record.progress = Some(serde_json::from_slice(progress).map_err(StoreError::corrupt)?);
    }
    record.partial = parts.partial.clone().map(Json::from_bytes);
    record.metadata = parts.metadata.clone().map(Json::from_bytes);
    if state.is_final() {
        record.notification = row.notify_state.map(|_| {
            let is_due = row.notify_due.is_some();
            NotificationStatus::new(row.notify_attempts, is_due)
        });
        record.result = row.result();
        record.outcome = row.outcome(parts)?;
    }
    Ok(Some(record))
}

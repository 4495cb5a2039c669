//! A job as callers see it.

use bytes::Bytes;
use http_polling::{JobState, Problem};
use tower_async_job_core::{
    Detail, JobRecord, Json, NotificationStatus, RecordedOutcome, ResultRef, StoredResponse,
};

use super::{
    columns::Job,
    numbers::{pending_status_of, protocol_of},
    state::State,
};
use crate::{
    time::{Micros, span, to_day},
    transaction::{Failure, Snapshot, Step},
};

impl Job {
    /// Returns the state at this time, before or after a sweep. `None` if there is no job, or it is
    /// to be forgotten.
    pub(crate) fn state_at(&self, now: Micros) -> Option<JobState> {
        let is_known = match self.state {
            State::Queued | State::Running => true,
            State::Expired | State::Void => now < self.due,
            State::Dropped => now < self.due.saturating_add(self.tombstone),
            _ if now < self.due => true,
            _ => {
                let dropped_until = self.usual_expiry().max(self.due);
                let known = now < dropped_until.saturating_add(self.tombstone);
                return known.then_some(JobState::Expired);
            }
        };
        self.state.shown().filter(|_| is_known)
    }

    /// Returns the job at the time of the snapshot. `None` if there is none, or it is to be
    /// forgotten.
    pub(crate) fn record(
        &self,
        snapshot: &Snapshot<'_>,
        detail: Detail,
    ) -> Step<Option<JobRecord>> {
        let now = snapshot.now;
        let Some(state) = self.state_at(now) else {
            return Ok(None);
        };
        let mut record = JobRecord::new(self.id(), self.handle(), state);
        record.version = self.version(state);
        record.epoch = self.epoch.unsigned_abs();
        record.attempt = u32::try_from(self.attempt).unwrap_or(u32::MAX);
        record.route = self.route.clone();
        record.protocol = protocol_of(self.protocol);
        record.pending_status = pending_status_of(self.pending_status);
        record.owner = self.owner.shown();
        record.created = to_day(self.created_day);
        record.started = self.started.map(|time| to_day(self.day_of(time)));
        record.ended = self.ended.map(|time| to_day(self.day_of(time)));
        record.age = span(self.created, now);
        let until = self.ended.unwrap_or(now);
        record.running_for = self.started.map(|started| span(started, until));
        if state == JobState::Expired {
            return Ok(Some(record));
        }
        let is_leased = self.is_pending() && self.held && (self.party.is_none() || self.resumed);
        record.lease_remaining = is_leased.then(|| span(now, self.due));
        if let Some(part) = self.progress {
            let json = snapshot.part(self.key, part)?;
            record.progress = Some(serde_json::from_slice(&json).map_err(Failure::corrupt)?);
        }
        record.partial = self.json(snapshot, self.partial)?;
        record.metadata = self.json(snapshot, self.metadata)?;
        if state.is_final() {
            record.notification = self.notify_state.map(|_| {
                let attempts = u32::try_from(self.notify_attempts).unwrap_or(u32::MAX);
                NotificationStatus::new(attempts, self.notify_due.is_some())
            });
            record.result = self.result();
            if detail != Detail::Status {
                record.outcome = self.outcome(snapshot)?;
            }
        }
        Ok(Some(record))
    }

    fn result(&self) -> Option<ResultRef> {
        let result = ResultRef::new(self.lease(), self.body_len?.unsigned_abs());
        Some(match self.chunks {
            Some(chunks) => result.with_chunks(u32::try_from(chunks).unwrap_or(u32::MAX)),
            None => result,
        })
    }

    fn outcome(&self, snapshot: &Snapshot<'_>) -> Step<Option<RecordedOutcome>> {
        let Some(part) = self.response else {
            return Ok(None);
        };
        let data = Bytes::from(snapshot.part(self.key, part)?);
        Ok(Some(match (self.state, self.chunks) {
            (State::Done, None) => RecordedOutcome::Response(StoredResponse::from_bytes(data)),
            (State::Done, Some(_)) => RecordedOutcome::Head(StoredResponse::from_bytes(data)),
            _ => {
                let problem = Problem::from_json(&data).map_err(Failure::corrupt)?;
                RecordedOutcome::Problem(Box::new(problem))
            }
        }))
    }

    pub(super) fn version(&self, state: JobState) -> u64 {
        let is_running = self.state == State::Running;
        let (epoch, reports) = (self.epoch.unsigned_abs(), self.reports.unsigned_abs());
        JobRecord::version_of(state, epoch, is_running, reports)
    }

    /// Converts a time of the store to a time of day, relative to that of the creation, so that
    /// every read returns the same.
    pub(crate) fn day_of(&self, time: Micros) -> Micros {
        let since = time.saturating_sub(self.created);
        self.created_day.saturating_add(since.max(0))
    }

    fn json(&self, snapshot: &Snapshot<'_>, part: Option<i64>) -> Step<Option<Json>> {
        let data = part.map(|part| snapshot.part(self.key, part)).transpose()?;
        Ok(data.map(|data| Json::from_bytes(data.into())))
    }
}

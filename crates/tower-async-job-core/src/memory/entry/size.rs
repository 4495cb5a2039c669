//! The share of a job in the store's budget.

use bytes::Bytes;

use super::{Entry, Phase};
use crate::{
    end::{End, Outcome, Report},
    id::JobId,
    job::NewJob,
    json::Json,
    memory::{
        budget::Room,
        keys::{JobKey, Scope},
    },
    owner::Principal,
};

impl Entry {
    /// Returns its share of the budget.
    pub(in crate::memory) fn room(&self) -> Room {
        let content = match &self.phase {
            Phase::Pending(pending) => {
                let request = pending.request.as_ref().map_or(0, |request| request.len());
                request + pending.reserved as usize
            }
            Phase::Ended { kept, .. } => kept.len(),
            // No longer a job, but kept: memory that a client can make grow.
            Phase::Dropped { owner, .. } => {
                let named = self.terms.route.len() + owner.as_ref().map_or(0, |owner| owner.len());
                return Room {
                    jobs: 0,
                    bytes: size_of::<Self>() + KEY + named + self.notify_len(),
                };
            }
            Phase::Expired { .. } => return Room::default(),
        };
        let extra = self.extra.as_ref().map_or(0, |extra| extra.len());
        let named = named_len(
            &self.terms.route,
            self.principal.as_ref(),
            self.key.is_some(),
        );
        Room {
            jobs: 1,
            bytes: content + extra + named,
        }
    }
}

/// The bytes of a key in the budget: in the job, and in the index of keys.
const KEY: usize = size_of::<JobKey>() + size_of::<(Scope, JobId)>();

impl Room {
    /// Returns the room of a new job.
    pub(in crate::memory) fn of_job(job: &NewJob) -> Self {
        let request = job.request.as_ref().map_or(0, |request| request.len());
        let named = named_len(
            &job.route,
            job.principal.as_ref(),
            job.idempotency.is_some(),
        );
        Self {
            jobs: 1,
            bytes: request
                .saturating_add(named)
                .saturating_add(job.notify.as_ref().map_or(0, Bytes::len))
                .saturating_add(job.result_room),
        }
    }

    /// Returns the room of a report.
    pub(in crate::memory) fn of_report(report: &Report) -> Self {
        Self::of_bytes(report_len(report))
    }

    /// Returns the room of an end with its report.
    pub(in crate::memory) fn of_end(end: &End) -> Self {
        let report = end.report.as_ref().map_or(0, report_len);
        Self::of_bytes(report + Self::of_outcome(&end.outcome).bytes)
    }

    /// Returns the room of an outcome. A problem is small and always fits, since it is stored when
    /// a response does not.
    pub(in crate::memory) fn of_outcome(outcome: &Outcome) -> Self {
        Self::of_bytes(match outcome {
            Outcome::Done(response) | Outcome::Streamed { head: response, .. } => response.len(),
            _ => 0,
        })
    }

    pub(in crate::memory) fn of_bytes(bytes: usize) -> Self {
        Self { jobs: 0, bytes }
    }
}

/// Returns the bytes of a job's names.
fn named_len(route: &str, principal: Option<&Principal>, keyed: bool) -> usize {
    let principal = principal.map_or(0, |principal| principal.as_str().len());
    route.len() + principal + if keyed { KEY } else { 0 }
}

/// Returns the bytes of a report in the budget.
fn report_len(report: &Report) -> usize {
    let progress = report
        .progress
        .as_ref()
        .and_then(|progress| progress.message.as_ref());
    progress.map_or(0, String::len)
        + report.partial.as_ref().map_or(0, Json::len)
        + report.metadata.as_ref().map_or(0, Json::len)
        + report.checkpoint.as_ref().map_or(0, Bytes::len)
}

//! What a job takes of the store's budget.

use serde_json::Value;

use super::{Entry, Phase};
use crate::{NewJob, Outcome, Report, memory::budget::Room};

impl Entry {
    /// What of the budget it takes.
    pub(in crate::memory) fn room(&self) -> Room {
        let content = match &self.phase {
            Phase::Pending(pending) => pending.request.as_ref().map_or(0, |request| request.len()),
            Phase::Ended { kept, .. } => kept.len(),
            Phase::Expired { .. } => return Room::default(),
        };
        let report = self.report.as_ref().map_or(0, |report| report_len(report));
        Room {
            jobs: 1,
            bytes: content + report,
        }
    }
}

/// How many bytes a report is accounted for with: about what it takes in memory, which is more
impl Room {
    /// Room for a new job.
    pub(in crate::memory) fn of_job(job: &NewJob) -> Self {
        let bytes = job.request.as_ref().map_or(0, |request| request.len());
        Self { jobs: 1, bytes }
    }

    /// Room for a report.
    pub(in crate::memory) fn of_report(report: &Report) -> Self {
        let bytes = report_len(report);
        Self { jobs: 0, bytes }
    }

    /// Room for an outcome. A problem is small and always finds room: it is what is stored when a
    /// response does not.
    pub(in crate::memory) fn of_outcome(outcome: &Outcome) -> Self {
        let bytes = match outcome {
            Outcome::Done(response) => response.len(),
            _ => 0,
        };
        Self { jobs: 0, bytes }
    }
}

/// than its text does.
fn report_len(report: &Report) -> usize {
    let progress = report
        .progress
        .as_ref()
        .and_then(|progress| progress.message.as_ref());
    let metadata = report.metadata.iter().flatten();
    progress.map_or(0, String::len)
        + report.partial.as_ref().map_or(0, value_len)
        + metadata.map(member_len).sum::<usize>()
}

fn value_len(value: &Value) -> usize {
    let content = match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(value_len).sum(),
        Value::Object(members) => members.iter().map(member_len).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + content
}

fn member_len((name, value): (&String, &Value)) -> usize {
    size_of::<String>() + name.len() + value_len(value)
}

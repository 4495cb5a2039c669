//! The document of one job for operators.

use std::time::Duration;

use http_polling::StatusDocument;
use serde_json::{Value, json};
use tower_async_job_core::{JobRecord, Protocol, RecordedOutcome};

/// Returns the client's status document with the handle in place of the id, without the parts
/// written for the client only.
pub(super) fn job(record: &JobRecord) -> Value {
    let handle = record.handle.to_string();
    let mut status = StatusDocument::new(handle.as_str(), record.state);
    status.created = Some(record.created);
    status.started = record.started;
    status.ended = record.ended;
    status.attempt = record.attempt;
    status.progress = record.progress.clone();
    let mut job = serde_json::to_value(&status).unwrap_or_default();
    if let Value::Object(members) = &mut job {
        members.remove("id");
    }
    job["handle"] = handle.into();
    job["route"] = record.route.as_ref().into();
    job["owned"] = record.owner.is_some().into();
    job["age_ms"] = milliseconds(record.age);
    if let Some(time) = record.running_for {
        job["running_for_ms"] = milliseconds(time);
    }
    match record.protocol {
        Protocol::Http => job["protocol"] = "http".into(),
        Protocol::Grpc => job["protocol"] = "grpc".into(),
        _ => {}
    }
    if let Some(notification) = record.notification {
        let state = match notification.is_due {
            true => "due",
            false => "completed",
        };
        job["notification"] = json!({ "state": state, "attempts": notification.attempts });
    }
    if let Some(RecordedOutcome::Problem(problem)) = &record.outcome {
        job["problem"] = serde_json::to_value(problem).unwrap_or_default();
    }
    job
}

fn milliseconds(time: Duration) -> Value {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).into()
}

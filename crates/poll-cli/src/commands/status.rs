//! `poll status`.

use std::time::Duration;

use http_polling::JobState;
use serde_json::{Value, json};
use tower_poll::{PendingJob, PollUpdate, Update};

use super::{follow, session::Session};
use crate::{
    arguments::Status,
    client::layer,
    exit::{Code, Failure},
    output::Output,
    progress::describe,
    words,
};

pub(super) async fn run(status: &Status, session: &Session) -> Result<Code, Failure> {
    follow::within(Some(status.limit.deadline), ask(status, session)).await
}

async fn ask(status: &Status, session: &Session) -> Result<Code, Failure> {
    // An unanswered poll gives no information about the job, and is a failure.
    let layer = layer(&session.connection)
        .poll_retries(0)
        .not_found_grace(Duration::ZERO);
    let mut job = session.resume_given(&status.given, layer)?;
    let (code, line, document) = match job.poll_now().await {
        None => return Err(Failure::new(Code::Other, "the job was not asked for")),
        Some(Ok(Update::Pending(update))) => {
            (Code::Success, describe(&update), pending_document(&update))
        }
        Some(Ok(Update::Final(response))) => {
            // An answer that carries the job is the answer of a failed poll.
            if response.extensions().get::<PendingJob>().is_some() {
                return Err(Failure::new(Code::HttpError, "the poll failed"));
            }
            let status = response.status();
            let document = json!({ "state": JobState::Done, "status": status.as_u16() });
            (Code::of(status), format!("done: {status}"), document)
        }
        Some(Err(error)) => {
            let Some(state) = error.job_state() else {
                return Err(session.failure(error));
            };
            let line = match error.problem() {
                Some(problem) => format!("{state}: {problem}"),
                None => state.to_string(),
            };
            let document = json!({ "state": state, "problem": error.problem() });
            (Code::HttpError, line, document)
        }
    };
    let text = if status.json {
        words::json(&document.to_string())
    } else {
        words::line(&line)
    };
    Output::default().text(&text).await?;
    Ok(code)
}

/// Returns the server's status document, or one with the same members that is
/// made from the headers.
fn pending_document(update: &PollUpdate) -> Value {
    match update.document() {
        Some(document) => document.clone(),
        None => json!({
            "state": update.state().unwrap_or(JobState::Running),
            "retry-after-ms": update.retry_after().map(|delay| delay.as_millis() as u64),
            "progress": update.progress(),
        }),
    }
}

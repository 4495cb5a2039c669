//! Status documents with the state in a member of any name.

use http::{
    Method, StatusCode, Uri,
    header::{CONTENT_LOCATION, LOCATION},
};
use http_polling::{JobState, Problem, has_retry_after};
use serde_json::Value;

use super::{
    answer::Answer,
    document::{States, is_json, percent, problem, state},
    error::DialectError,
    reader::Dialect,
    step::{Interim, Step},
};

/// The prefix of the name of such a dialect, before that of the field.
pub(super) const PREFIX: &str = "status-document=";

/// The words of APIs for states, without spaces, `-` and `_`. All others are
/// pending.
const STATES: &States = &[
    (
        JobState::Done,
        &[
            "succeeded",
            "success",
            "successful",
            "completed",
            "complete",
            "done",
            "finished",
            "ready",
        ],
    ),
    (
        JobState::Failed,
        &[
            "failed", "failure", "error", "errored", "faulted", "rejected",
        ],
    ),
    (
        JobState::Cancelled,
        &[
            "canceled",
            "cancelled",
            "aborted",
            "terminated",
            "dismissed",
        ],
    ),
    (JobState::TimedOut, &["timedout", "timeout"]),
    (JobState::Expired, &["expired"]),
    (
        JobState::Queued,
        &["queued", "pending", "accepted", "notstarted"],
    ),
    (JobState::Running, &["running", "inprogress", "processing"]),
];

/// An API whose status documents have the state in a member of this name.
///
/// It is not built in: put it [onto the layer](crate::PollLayer::dialect). It
/// reads every answer 200, 201 or 202 that leads to a document by `Location`,
/// else by `Content-Location`, and every JSON answer to GET as a document.
///
/// - The member is a string or a boolean. Words count in any case and with any
///   spaces, hyphens and underscores: `succeeded`, `completed`, `done` and
///   the like are success; `failed`, `error`, `cancelled`, `timed-out`,
///   `expired` and the like are the end without a response; every other
///   word is pending. `true` is success, unless there is an `error`.
/// - A name with dots leads into the document: `properties.state`.
/// - After success the response comes by GET from the answer's `Location`, and
///   without one it is the document itself. A poll that is redirected without
///   a delay has succeeded too.
/// - `error`, if it is an object, becomes the problem; a text that is there
///   instead, or in `message`, its detail. `percentComplete`, else
///   `progress`, from 0 to 100, is the progress.
///
/// ```
/// use tower_poll::dialect::{Dialect, StatusField};
///
/// assert_eq!(StatusField::new("state").name(), "status-document=state");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct StatusField {
    /// The name, with the [`PREFIX`].
    name: String,
}

impl StatusField {
    /// Reads documents with the state in `field`.
    ///
    /// ```
    /// use tower_poll::{PollLayer, dialect::StatusField};
    ///
    /// let layer = PollLayer::new().dialect(StatusField::new("properties.state"));
    /// ```
    pub fn new(field: impl AsRef<str>) -> Self {
        Self {
            name: format!("{PREFIX}{}", field.as_ref()),
        }
    }

    fn field<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        let path = &self.name[PREFIX.len()..];
        path.split('.')
            .try_fold(document, |value, member| value.get(member))
    }

    /// Returns the state in `document`; `Ok(None)` if it is an unknown one.
    fn state(&self, document: &Value) -> Result<Option<JobState>, DialectError> {
        match self.field(document) {
            None | Some(Value::Null) => Err(DialectError::missing("the member for its state")),
            Some(Value::Bool(false)) => Ok(None),
            Some(Value::Bool(true)) => Ok(Some(match document.get("error") {
                None | Some(Value::Null) => JobState::Done,
                Some(_) => JobState::Failed,
            })),
            Some(Value::String(word)) => Ok(known(word)),
            Some(_) => Err(DialectError::mistyped("the state", "a string")),
        }
    }
}

impl Dialect for StatusField {
    fn name(&self) -> &str {
        &self.name
    }

    fn recognises(&self, answer: &Answer<'_>) -> bool {
        let is_get = *answer.submission_method() == Method::GET;
        match answer.status() {
            _ if JobState::from_headers(answer.headers()).is_some() => false,
            StatusCode::ACCEPTED => is_get || leads_on(answer),
            StatusCode::OK | StatusCode::CREATED if is_get => is_json(answer.headers()),
            StatusCode::OK | StatusCode::CREATED => leads_on(answer),
            _ => false,
        }
    }

    fn read(&self, answer: &Answer<'_>) -> Result<Step, DialectError> {
        let is_get = *answer.submission_method() == Method::GET;
        if answer.is_to_submission() && (!is_get || answer.status() == StatusCode::ACCEPTED) {
            let next = named(answer)?.unwrap_or(answer.asked().clone());
            return Ok(Step::Pending(answer.pending(next)));
        }
        match answer.status() {
            StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED => {}
            status if status.is_redirection() && !has_retry_after(answer.headers()) => {
                let location = answer.url_in(&LOCATION)?;
                return Ok(location.map_or(Step::AsHead, Step::Fetch));
            }
            _ => return Ok(Step::AsHead),
        }
        let document = match answer.body() {
            None => return Ok(Step::NeedsBody),
            // The status code says enough.
            Some([]) if answer.status() == StatusCode::ACCEPTED => Value::Null,
            Some(_) => answer.json()?,
        };
        let state = match self.state(&document) {
            // The answer to a GET need not be the status of work.
            Err(_) if answer.is_to_submission() => return Ok(Step::Done),
            Err(_) if answer.status() == StatusCode::ACCEPTED => None,
            state => state?,
        };
        match state {
            Some(JobState::Done) => Ok(answer.url_in(&LOCATION)?.map_or(Step::Done, Step::Fetch)),
            Some(state) if state.is_final() => Ok(Step::Failed(state, reason(&document))),
            state => Ok(Step::Pending(Interim {
                state,
                progress: percent(&document, "percentComplete")
                    .or_else(|| percent(&document, "progress")),
                ..answer.pending(answer.asked().clone())
            })),
        }
    }

    fn polls_documents(&self) -> bool {
        true
    }

    fn cancellation(&self, _: &Uri) -> Option<Uri> {
        None
    }
}

fn leads_on(answer: &Answer<'_>) -> bool {
    [LOCATION, CONTENT_LOCATION]
        .iter()
        .any(|name| answer.headers().contains_key(name))
}

/// Returns the status document in the answer to a submission.
fn named(answer: &Answer<'_>) -> Result<Option<Uri>, DialectError> {
    match answer.url_in(&LOCATION)? {
        None => answer.url_in(&CONTENT_LOCATION),
        location => Ok(location),
    }
}

fn known(word: &str) -> Option<JobState> {
    let letters: String = word
        .chars()
        .filter(|c| !matches!(c, ' ' | '-' | '_'))
        .collect();
    state(&letters, STATES)
}

/// Reads the problem in `error` or `message`.
fn reason(document: &Value) -> Option<Box<Problem>> {
    problem(document).or_else(|| {
        let text = ["error", "message"].map(|name| document.get(name).and_then(Value::as_str));
        let detail = text.into_iter().flatten().next()?;
        Some(Box::new(Problem::default().with_detail(detail)))
    })
}

#[cfg(test)]
mod tests;

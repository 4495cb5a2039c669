//! Responses that are not stored: over a limit, or broken off.

use std::{error::Error, fmt};

use http::StatusCode;
use http_polling::{Problem, ProblemType};
use tower_async_job_core::{JobHandle, Outcome, StoreError, StoreLimit};

use crate::{
    node::registration::Registration,
    run::{
        recording::{Size, Unrecorded},
        watch::{End, Stop},
    },
};

/// Returns the end of a job whose response could not be recorded.
pub(crate) fn not_recorded(unrecorded: Unrecorded, limit: usize, job: &Registration) -> End {
    let outcome = match unrecorded {
        Unrecorded::TooLarge(size) => {
            let limit = StoreLimit::new("result_limit", limit as u64);
            let problem = Problem::new(ProblemType::ResultTooLarge);
            dropped(beyond(problem, size, Some(limit)), job.handle())
        }
        Unrecorded::NoRoom(size, error) => dropped(no_room(size, &error), job.handle()),
        Unrecorded::NoPlace => {
            tracing::warn!(handle = %job.handle(), "the event stream of a job is beyond `streams`");
            let detail = "too many event streams are open";
            Outcome::Failed(Problem::new(ProblemType::JobFailed).with_detail(detail))
        }
        Unrecorded::Broken(error) => {
            tracing::warn!(%error, handle = %job.handle(), "the response body of a job broke off");
            failed(&*error, "the response body broke off")
        }
        Unrecorded::NotWritten(error) if error.is_lease_lost() => return End::Refused,
        Unrecorded::NotWritten(_) => return End::Stopped(Stop::Abandoned),
    };
    End::Outcome(outcome, None)
}

/// Returns the failure of a job by an error of its handler or of its response's body. Clients learn an
/// error that is a problem itself, and of another one only its kind: a problem among its sources may be
/// one of another server, which was told to this one alone.
pub(crate) fn failed(error: &(dyn Error + 'static), detail: &str) -> Outcome {
    let problem = error.downcast_ref::<Problem>();
    let is_failure = |status: StatusCode| status.is_client_error() || status.is_server_error();
    let problem = problem.filter(|problem| problem.status_code().is_some_and(is_failure));
    let usual = || Problem::new(ProblemType::JobFailed).with_detail(detail);
    Outcome::Failed(problem.cloned().unwrap_or_else(usual))
}

/// Returns the outcome of a job whose result does not fit into the store.
pub(crate) fn no_room(size: Size, error: &StoreError) -> Outcome {
    beyond(Problem::new(ProblemType::JobFailed), size, error.limit())
}

/// Logs the outcome that a job has instead of its result.
pub(crate) fn dropped(outcome: Outcome, handle: JobHandle) -> Outcome {
    if let Outcome::Failed(problem) = &outcome {
        let detail = problem.detail.as_deref().unwrap_or_default();
        tracing::warn!(%handle, "the result of a job is dropped: {detail}");
    }
    outcome
}

/// Adds the limit that a result exceeds to its problem.
fn beyond(problem: Problem, size: Size, limit: Option<StoreLimit>) -> Outcome {
    let (Size::Exactly(bytes) | Size::AtLeast(bytes)) = size;
    let problem = problem.with_extension("size", bytes);
    Outcome::Failed(match limit {
        Some(StoreLimit { setting, value, .. }) => problem
            .with_detail(format!(
                "the result of {size} could not be kept: `{setting}` is {value} bytes"
            ))
            .with_extension("limit", value)
            .with_extension("setting", setting),
        None => problem.with_detail(format!("there was no room for the result of {size}")),
    })
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(bytes) => write!(f, "{bytes} bytes"),
            Self::AtLeast(bytes) => write!(f, "at least {bytes} bytes"),
        }
    }
}

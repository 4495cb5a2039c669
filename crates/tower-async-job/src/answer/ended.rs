//! The answers of jobs that have ended.

use std::borrow::Cow;

use http::{Response, header::TRAILER};
use http_polling::{JobState, Problem, ProblemType};
use tower_async_job_core::{JobRecord, Protocol, RecordedOutcome};

use crate::{
    answer::{
        grpc,
        refusal::{problem_response, unavailable},
    },
    body::StoredBody,
    headers::{set_no_store, set_state},
};

/// Returns the answer of an ended job: the handler's response, or the job's problem.
///
/// `trailers` is whether the connection can carry them.
pub(crate) fn ended(record: &JobRecord, trailers: bool) -> Response<StoredBody> {
    let problem = match &record.outcome {
        Some(RecordedOutcome::Response(stored)) => match stored.decode() {
            Ok(replayed) => {
                let mut body_trailers = replayed.trailers;
                let mut headers = replayed.headers;
                if !trailers {
                    body_trailers = None;
                    headers.remove(TRAILER);
                }
                let body = StoredBody::with_trailers(replayed.body, body_trailers);
                let mut response = Response::new(body);
                *response.status_mut() = replayed.status;
                *response.headers_mut() = headers;
                set_no_store(response.headers_mut());
                set_state(response.headers_mut(), JobState::Done);
                return response;
            }
            Err(error) => {
                tracing::error!(%error, job = ?record.id, "a stored response cannot be read");
                if error.is_unsupported_version() {
                    return unavailable();
                }
                let problem = Problem::new(ProblemType::RecordUnreadable);
                return failure(&problem, JobState::Failed, record.protocol);
            }
        },
        Some(RecordedOutcome::Problem(problem)) => Cow::Borrowed(&**problem),
        _ => {
            let kind = ProblemType::of(record.state).unwrap_or(ProblemType::JobFailed);
            Cow::Owned(Problem::new(kind))
        }
    };
    failure(&problem, record.state, record.protocol)
}

pub(crate) fn failure(
    problem: &Problem,
    state: JobState,
    protocol: Protocol,
) -> Response<StoredBody> {
    let mut response = match protocol {
        Protocol::Grpc => {
            let message = problem.detail.as_deref().or(problem.title.as_deref());
            grpc::trailers_only(grpc::code_of(state), message.unwrap_or_default())
        }
        _ => problem_response(problem),
    };
    set_no_store(response.headers_mut());
    set_state(response.headers_mut(), state);
    response
}

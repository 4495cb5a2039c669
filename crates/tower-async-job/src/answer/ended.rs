//! The answers of jobs that have ended.

use std::{borrow::Cow, mem, sync::Arc};

use http::{Response, header::TRAILER};
use http_polling::{JobState, Problem, ProblemType};
use tower_async_job_core::{
    JobRecord, JobStore, Protocol, RecordedOutcome, ReplayedResponse, StoreError,
};

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
pub(crate) fn ended(
    store: &Arc<dyn JobStore>,
    record: &JobRecord,
    trailers: bool,
) -> Response<StoredBody> {
    let problem = match &record.outcome {
        Some(RecordedOutcome::Response(response)) => {
            return match response.decode() {
                Ok(mut replayed) => {
                    let body = mem::take(&mut replayed.body);
                    replay(replayed, StoredBody::from(body), trailers)
                }
                Err(error) => unreadable(record, &error),
            };
        }
        Some(RecordedOutcome::Head(head)) => {
            let result = record
                .result
                .ok_or_else(|| StoreError::corrupt("it has no body"));
            return match result.and_then(|result| Ok((head.decode()?, result))) {
                Ok((replayed, result)) => {
                    let body = StoredBody::in_chunks(store.clone(), result);
                    replay(replayed, body, trailers)
                }
                Err(error) => unreadable(record, &error),
            };
        }
        Some(RecordedOutcome::Problem(problem)) => Cow::Borrowed(&**problem),
        _ => {
            let kind = ProblemType::of(record.state).unwrap_or(ProblemType::JobFailed);
            Cow::Owned(Problem::new(kind))
        }
    };
    failure(&problem, record.state, record.protocol)
}

#[inline(always)]
fn replay(replayed: ReplayedResponse, body: StoredBody, trailers: bool) -> Response<StoredBody> {
    let mut body_trailers = replayed.trailers;
    let mut headers = replayed.headers;
    if !trailers {
        body_trailers = None;
        headers.remove(TRAILER);
    }
    let mut response = Response::new(body.with_trailers(body_trailers));
    *response.status_mut() = replayed.status;
    *response.headers_mut() = headers;
    set_no_store(response.headers_mut());
    set_state(response.headers_mut(), JobState::Done);
    response
}

fn unreadable(record: &JobRecord, error: &StoreError) -> Response<StoredBody> {
    tracing::error!(%error, job = ?record.id, "a stored response cannot be read");
    if error.is_unsupported_version() {
        return unavailable();
    }
    let problem = Problem::new(ProblemType::RecordUnreadable);
    failure(&problem, JobState::Failed, record.protocol)
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

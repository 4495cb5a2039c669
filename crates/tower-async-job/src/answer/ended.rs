//! The answers of jobs that have ended.

use std::{borrow::Cow, mem, sync::Arc};

use http::{Response, StatusCode, header::TRAILER};
use http_polling::{JobState, Problem, ProblemType};
use tower_async_job_core::{
    JobRecord, JobStore, Protocol, RecordedOutcome, ReplayedResponse, StoreError,
};

use crate::{
    answer::{
        file, grpc,
        refusal::{problem_response, unavailable},
        validators,
    },
    body::StoredBody,
    headers::{set_no_store, set_state},
    observe::{links::link_to_run, with_sources},
    request::conditions::Conditions,
};

/// Returns the answer of an ended job to its submission: the handler's response, or the job's
/// problem.
///
/// `trailers` is whether the connection can carry them.
pub(crate) fn ended(
    store: &Arc<dyn JobStore>,
    record: &JobRecord,
    trailers: bool,
) -> Response<StoredBody> {
    match read(store, record) {
        Ok((replayed, body)) => replay(replayed, body, trailers),
        Err(failure) => *failure,
    }
}

/// Returns the answer of an ended job at its URL, where its result is a file, and the position of its
/// first byte if it is the whole result or the rest of it.
pub(crate) fn result(
    store: &Arc<dyn JobStore>,
    record: &JobRecord,
    trailers: bool,
    conditions: Option<Conditions<'_>>,
) -> (Response<StoredBody>, Option<u64>) {
    match read(store, record) {
        Ok((replayed, body)) => {
            let is_file = file::is_file(&replayed, record.protocol);
            let mut response = replay(replayed, body, trailers);
            if !is_file {
                return (response, Some(0));
            }
            validators::add(response.headers_mut(), record);
            match conditions {
                Some(conditions) => file::select(response, conditions),
                None => (response, Some(0)),
            }
        }
        Err(failure) => (*failure, Some(0)),
    }
}

/// Returns the refusal to drop a result that is a file, if the preconditions do not allow it.
#[cold]
pub(crate) fn kept(
    store: &Arc<dyn JobStore>,
    record: &JobRecord,
    conditions: Conditions<'_>,
) -> Option<Response<StoredBody>> {
    let (mut replayed, _) = read(store, record).ok()?;
    validators::add(&mut replayed.headers, record);
    let is_kept =
        file::is_file(&replayed, record.protocol) && !conditions.allow_change(&replayed.headers);
    is_kept.then(|| file::refused(StatusCode::PRECONDITION_FAILED))
}

/// Reads the handler's response. Without one, the error is the answer of the job.
#[inline(always)]
fn read(
    store: &Arc<dyn JobStore>,
    record: &JobRecord,
) -> Result<(ReplayedResponse, StoredBody), Box<Response<StoredBody>>> {
    let problem = match &record.outcome {
        Some(RecordedOutcome::Response(response)) => {
            let mut replayed = response
                .decode()
                .map_err(|error| Box::new(unreadable(record, &error)))?;
            let body = mem::take(&mut replayed.body);
            return Ok((replayed, StoredBody::from(body)));
        }
        Some(RecordedOutcome::Head(head)) => {
            let result = record
                .result
                .ok_or_else(|| StoreError::corrupt("it has no body"));
            return match result.and_then(|result| Ok((head.decode()?, result))) {
                Ok((replayed, result)) => Ok((
                    replayed,
                    StoredBody::in_chunks(store.clone(), result, record.handle),
                )),
                Err(error) => Err(Box::new(unreadable(record, &error))),
            };
        }
        Some(RecordedOutcome::Problem(problem)) => Cow::Borrowed(&**problem),
        _ => {
            let kind = ProblemType::of(record.state).unwrap_or(ProblemType::JobFailed);
            Cow::Owned(Problem::new(kind))
        }
    };
    Err(Box::new(failure(&problem, record.state, record.protocol)))
}

#[inline(always)]
fn replay(replayed: ReplayedResponse, body: StoredBody, trailers: bool) -> Response<StoredBody> {
    let mut body_trailers = replayed.trailers;
    let mut headers = replayed.headers;
    link_to_run(&mut headers);
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
    tracing::error!(error = with_sources(error), handle = %record.handle, "a stored response cannot be read");
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

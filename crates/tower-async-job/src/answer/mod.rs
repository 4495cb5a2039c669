//! The answers that the layer writes itself.

mod grpc;
mod pending;

use std::{borrow::Cow, pin::Pin};

use http::{
    HeaderMap, HeaderValue, Response, StatusCode, Version,
    header::{CONTENT_LENGTH, CONTENT_TYPE, TRAILER},
};
use http_polling::{
    JSON, JobState, JsonRef, PROBLEM_JSON, Prefer, PreferenceApplied, Problem, ProblemType,
    StatusDocumentRef, set_retry_after,
};
use tower_async_job_core::{JobRecord, Json, Owner, Protocol, RecordedOutcome, StoreError};

pub(crate) use self::pending::{accepted, pending};
use crate::{
    body::StoredBody,
    estimate::Pending,
    headers::{USUAL_HEADERS, set_no_store, set_state},
    node::{
        capacity::{BUSY_RETRY_AFTER, NoPlace},
        front::Front,
    },
    observe::metrics,
    request::closing,
};

/// An answer that something has to be waited for.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Response<StoredBody>> + Send>>;

/// The answer to a poll that comes before it is due while there is no place to hold it.
pub(crate) fn too_early(front: &Front, record: &JobRecord) -> Response<StoredBody> {
    let mut response = problem(ProblemType::PolledTooOften, Some(record.state));
    let delay = front.node.retry_after(&record.id, &known(front, record));
    set_retry_after(response.headers_mut(), delay);
    response
}

/// What the Retry-After of a stored job is chosen by.
pub(crate) fn known<'a>(front: &Front, record: &'a JobRecord) -> Pending<'a> {
    let pending = Pending {
        running_for: record.running_for,
        progress: record.progress.as_ref(),
        ..Pending::new(&record.route, record.age)
    };
    let principal = record.owner.as_ref().and_then(Owner::principal);
    front.node.among_others(principal, pending)
}

/// Says what was honoured of what a submission preferred. The wait is the one that was given.
pub(crate) fn apply_preferences(headers: &mut HeaderMap, prefer: &Prefer) {
    let mut applied = PreferenceApplied::new();
    if prefer.respond_async() {
        applied = applied.with_respond_async();
    }
    if let Some(wait) = prefer.wait() {
        applied = applied.with_wait(wait);
    }
    applied.append_to(headers);
}

/// Says of an answer that came within the inline wait how long it would have been waited for (RFC 7240,
/// section 3).
pub(crate) fn apply_wait(headers: &mut HeaderMap, prefer: &Prefer) {
    if let Some(wait) = prefer.wait() {
        PreferenceApplied::new().with_wait(wait).append_to(headers);
    }
}

/// The status document, whatever the state: `{job}/status`, and the answer to a cancellation.
///
/// Of a pending job it says when to ask again, as the pending answers do.
pub(crate) fn status(
    front: &Front,
    record: &JobRecord,
    status: StatusCode,
) -> Response<StoredBody> {
    let id = record.id.encode();
    let mut document = document(record, id.as_str());
    let is_pending = record.state.is_pending();
    let delay = is_pending.then(|| front.node.retry_after(&record.id, &known(front, record)));
    if let Some(delay) = delay {
        document = document.with_retry_after(delay);
    }
    let mut response = json(JSON, document.to_json());
    let headers = response.headers_mut();
    set_state(headers, record.state);
    if let Some(delay) = delay {
        set_retry_after(headers, delay);
    }
    *response.status_mut() = status;
    response
}

fn document<'a>(record: &'a JobRecord, id: &'a str) -> StatusDocumentRef<'a> {
    let mut document = StatusDocumentRef::new(id, record.state);
    document.created = Some(record.created);
    document.started = record.started;
    document.ended = record.ended;
    document.attempt = record.attempt;
    document.progress = record.progress.as_ref();
    document.partial = record.partial.as_ref().map(text);
    document.metadata = record.metadata.as_ref().map(text);
    document
}

fn text(json: &Json) -> JsonRef<'_> {
    JsonRef::Text(json.as_bytes())
}

/// The answer of a job that has ended: the handler's response, or the problem that it ended with.
///
/// `trailers` says whether the connection can carry them.
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

fn failure(problem: &Problem, state: JobState, protocol: Protocol) -> Response<StoredBody> {
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

/// There is no such job, or it is not the asker's.
pub(crate) fn unknown() -> Response<StoredBody> {
    problem(ProblemType::JobUnknown, Some(JobState::Unknown))
}

/// The store cannot be reached, so nothing is known of the job.
pub(crate) fn unavailable() -> Response<StoredBody> {
    let mut response = problem(ProblemType::StoreUnavailable, None);
    set_retry_after(response.headers_mut(), BUSY_RETRY_AFTER);
    response
}

/// The answer to a call that a panic of the application's has ended.
pub(crate) fn panicked(protocol: Protocol) -> Response<StoredBody> {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    let mut response = match protocol {
        Protocol::Grpc => grpc::trailers_only(grpc::Code::Internal, "Internal error"),
        _ => problem_response(&problem_of(status)),
    };
    set_no_store(response.headers_mut());
    response
}

/// A problem that is said whole by its status code (RFC 9457, section 4.2.1).
pub(crate) fn problem_of(status: StatusCode) -> Problem {
    let mut problem = Problem::default();
    problem.title = status.canonical_reason().map(str::to_owned);
    problem.status = Some(status.as_u16());
    problem
}

/// A submission that is refused before, or instead of, becoming a job.
pub(crate) fn refusal(kind: ProblemType, protocol: Protocol) -> Response<StoredBody> {
    refusal_for(Problem::new(kind), kind, protocol)
}

fn refusal_for(problem: Problem, kind: ProblemType, protocol: Protocol) -> Response<StoredBody> {
    metrics::refused(kind);
    let mut response = match protocol {
        Protocol::Grpc => {
            let message = problem.detail.as_deref().unwrap_or(kind.title());
            grpc::trailers_only(grpc::code_of_refusal(kind), message)
        }
        _ => problem_response(&problem),
    };
    if kind.status() == StatusCode::SERVICE_UNAVAILABLE {
        set_retry_after(response.headers_mut(), BUSY_RETRY_AFTER);
    }
    set_no_store(response.headers_mut());
    response
}

/// A submission, by a version of HTTP, for which there is no place.
pub(crate) fn no_place(
    no_place: NoPlace,
    protocol: Protocol,
    version: Version,
) -> Response<StoredBody> {
    let mut problem = Problem::new(no_place.problem);
    if no_place.is_stopping {
        problem = problem.with_detail("the server is shutting down");
    }
    let mut response = refusal_for(problem, no_place.problem, protocol);
    let headers = response.headers_mut();
    set_retry_after(headers, no_place.retry_after);
    if no_place.is_stopping {
        closing::close(version, headers);
    }
    response
}

/// A submission that the store does not take.
pub(crate) fn not_stored(error: &StoreError, protocol: Protocol) -> Response<StoredBody> {
    let kind = if error.is_full() {
        ProblemType::CapacityExhausted
    } else {
        ProblemType::StoreUnavailable
    };
    let mut response = refusal(kind, protocol);
    if let Some(delay) = error.retry_after() {
        set_retry_after(response.headers_mut(), delay);
    }
    response
}

/// There is nothing to say.
pub(crate) fn no_content() -> Response<StoredBody> {
    let mut response = Response::new(StoredBody::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    set_no_store(response.headers_mut());
    response
}

pub(crate) fn problem(kind: ProblemType, state: Option<JobState>) -> Response<StoredBody> {
    let mut response = problem_response(&Problem::new(kind));
    if let Some(state) = state {
        set_state(response.headers_mut(), state);
    }
    response
}

pub(crate) fn problem_response(problem: &Problem) -> Response<StoredBody> {
    let mut response = json(PROBLEM_JSON, problem.to_json());
    *response.status_mut() = problem
        .status_code()
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

pub(crate) fn json(content_type: HeaderValue, json: Vec<u8>) -> Response<StoredBody> {
    let mut response = Response::new(StoredBody::from(json));
    let headers = response.headers_mut();
    *headers = HeaderMap::with_capacity(USUAL_HEADERS);
    headers.insert(CONTENT_TYPE, content_type);
    set_no_store(headers);
    response
}

/// Takes the body out of an answer to HEAD, leaving the length that it would have had where it is
/// known (RFC 9110, section 9.3.2).
pub(crate) fn without_body(response: Response<StoredBody>) -> Response<StoredBody> {
    let (mut parts, body) = response.into_parts();
    let has_content = !matches!(
        parts.status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    if let Some(length) = http_body::Body::size_hint(&body).exact()
        && has_content
    {
        parts
            .headers
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(parts, StoredBody::default())
}

//! Refusals of submissions, and of polls that have no other answer.

use http::{Response, StatusCode, Version};
use http_polling::{JobState, PROBLEM_JSON, Problem, ProblemType, set_retry_after};
use tower_async_job_core::{Protocol, StoreError};

use crate::{
    answer::{grpc, response::json},
    body::StoredBody,
    headers::{set_no_store, set_state},
    node::capacity::{BUSY_RETRY_AFTER, NoPlace},
    observe::{metrics::Meter, with_sources},
    request::closing,
};

/// Returns the refusal of a submission that does not become a job.
pub(crate) fn refusal(
    meter: &Meter,
    kind: ProblemType,
    protocol: Protocol,
) -> Response<StoredBody> {
    refusal_for(meter, Problem::new(kind), kind, protocol)
}

/// Returns the refusal of a request for this reason.
pub(crate) fn invalid(meter: &Meter, reason: String, protocol: Protocol) -> Response<StoredBody> {
    let kind = ProblemType::RequestInvalid;
    refusal_for(
        meter,
        Problem::new(kind).with_detail(reason),
        kind,
        protocol,
    )
}

fn refusal_for(
    meter: &Meter,
    problem: Problem,
    kind: ProblemType,
    protocol: Protocol,
) -> Response<StoredBody> {
    meter.refused(kind);
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

/// Returns the refusal of a submission for which there is no place.
pub(crate) fn no_place(
    meter: &Meter,
    no_place: NoPlace,
    protocol: Protocol,
    version: Version,
) -> Response<StoredBody> {
    let mut problem = Problem::new(no_place.problem);
    if no_place.is_stopping {
        problem = problem.with_detail("the server is shutting down");
    }
    let mut response = refusal_for(meter, problem, no_place.problem, protocol);
    let headers = response.headers_mut();
    set_retry_after(headers, no_place.retry_after);
    if no_place.is_stopping {
        closing::close(version, headers);
    }
    response
}

/// Returns the refusal of a submission that the store does not accept.
pub(crate) fn not_stored(
    meter: &Meter,
    error: &StoreError,
    protocol: Protocol,
) -> Response<StoredBody> {
    if error.is_corrupt() {
        return unreadable(error);
    }
    let kind = if error.is_quota_exceeded() {
        ProblemType::QuotaExceeded
    } else if error.is_full() || error.is_queue_full() {
        ProblemType::CapacityExhausted
    } else {
        ProblemType::StoreUnavailable
    };
    let mut problem = Problem::new(kind);
    // The limits of a store are its operator's concern only.
    if let Some(limit) = error.limit().filter(|_| !error.is_full()) {
        problem = problem
            .with_detail(error.to_string())
            .with_extension("limit", limit.value)
            .with_extension("setting", limit.setting);
    }
    let mut response = refusal_for(meter, problem, kind, protocol);
    let delay = error.retry_after().unwrap_or(BUSY_RETRY_AFTER);
    set_retry_after(response.headers_mut(), delay);
    response
}

/// Returns the answer to a call that a panic of the application has ended.
pub(crate) fn panicked(protocol: Protocol) -> Response<StoredBody> {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    let mut response = match protocol {
        Protocol::Grpc => grpc::trailers_only(grpc::Code::Internal, "Internal error"),
        _ => problem_response(&problem_of(status)),
    };
    set_no_store(response.headers_mut());
    response
}

/// Returns the answer for a job that does not exist, or that the client may not see.
pub(crate) fn unknown() -> Response<StoredBody> {
    problem(ProblemType::JobUnknown, Some(JobState::Unknown))
}

/// Returns the answer for a job whose record is damaged or temporarily unknown.
pub(crate) fn unreadable(error: &StoreError) -> Response<StoredBody> {
    if error.is_corrupt() {
        tracing::error!(
            error = with_sources(error),
            "the record of a job is damaged"
        );
        return problem(ProblemType::RecordUnreadable, Some(JobState::Failed));
    }
    tracing::warn!(
        error = with_sources(error),
        "the job store could not be read"
    );
    unavailable()
}

/// Returns the answer while the store is unreachable.
pub(crate) fn unavailable() -> Response<StoredBody> {
    let mut response = problem(ProblemType::StoreUnavailable, None);
    set_retry_after(response.headers_mut(), BUSY_RETRY_AFTER);
    response
}

pub(crate) fn problem(kind: ProblemType, state: Option<JobState>) -> Response<StoredBody> {
    let mut response = problem_response(&Problem::new(kind));
    if let Some(state) = state {
        set_state(response.headers_mut(), state);
    }
    response
}

/// Returns a problem that its status code describes fully (RFC 9457, section 4.2.1).
pub(crate) fn problem_of(status: StatusCode) -> Problem {
    let mut problem = Problem::default();
    problem.title = status.canonical_reason().map(str::to_owned);
    problem.status = Some(status.as_u16());
    problem
}

pub(crate) fn problem_response(problem: &Problem) -> Response<StoredBody> {
    let mut response = json(PROBLEM_JSON, problem.to_json());
    *response.status_mut() = problem
        .status_code()
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

//! The answers that the layer writes itself.

use std::{
    mem,
    time::{Duration, SystemTime},
};

use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE, LOCATION, TRAILER, VARY,
    },
};
use http_polling::{
    JOB_STATUS, JSON, JobState, PROBLEM_JSON, Prefer, PreferenceApplied, Problem, ProblemType,
    StatusDocument, Usual, retry_after_values, set_retry_after,
};
use tower_async_job_core::{JobId, JobRecord, Protocol, RecordedOutcome};

use crate::{
    body::StoredBody,
    capacity::NoPlace,
    config::{Config, PendingStatus},
    context::JobContext,
    estimate::Pending,
    grpc, metrics,
    service::Submission,
    shared::Shared,
};

/// Retry-After of a node that is full or whose store is out of reach.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(5);

/// How many headers a pending answer has, with those that the server adds.
const USUAL_HEADERS: usize = 9;

/// The acceptance of a submission.
pub(crate) fn accepted(
    shared: &Shared,
    id: &JobId,
    queued: bool,
    route: &str,
    submission: &Submission,
    context: &JobContext,
) -> Response<StoredBody> {
    let config = &shared.config;
    let now = SystemTime::now();
    let reported = context.reported();
    let mut pending = Pending::new(route, Duration::ZERO);
    pending.progress = reported.as_ref().and_then(|reported| reported.progress.as_ref());
    pending.jobs = shared.registry.pending();
    if queued {
        pending.running_for = None;
    }
    let delay = config.estimator.retry_after(&pending);
    let id = id.encode();
    let id = id.as_str();
    let usual = Usual {
        id,
        state: if queued { JobState::Queued } else { JobState::Running },
        created: Some(now),
        started: (!queued).then_some(now),
        ended: None,
        attempt: if queued { 0 } else { context.attempt() },
        retry_after_ms: Some(whole_millis(delay)),
    };
    let json = match &reported {
        None => usual.to_json(),
        Some(_) => None,
    };
    let json = json.unwrap_or_else(|| {
        let reported = reported.clone().unwrap_or_default();
        let mut document = StatusDocument::new(id, usual.state);
        document.created = usual.created;
        document.started = usual.started;
        document.attempt = usual.attempt;
        document.progress = reported.progress;
        document.partial = reported.partial;
        document.metadata = reported.metadata;
        document.with_retry_after(delay).to_json()
    });
    let location = location(config, id, &pending, delay);
    let pattern = &shared.pattern;
    let headers = match submission.method {
        Method::GET => &pattern.polled,
        _ => &pattern.accepted,
    };
    let mut response = pattern.fill(headers, usual.state, location, delay, json);
    if submission.asked.page {
        // A browser follows this to the page; a 202 would end in showing the status document.
        response.headers_mut().remove(CONTENT_LOCATION);
        *response.status_mut() = StatusCode::SEE_OTHER;
    }
    apply_preferences(response.headers_mut(), &submission.asked.prefer);
    response
}

/// The answer to a poll of a job that has not ended.
pub(crate) fn pending(shared: &Shared, record: &JobRecord, polls: u32) -> Response<StoredBody> {
    let pending = Pending {
        polls,
        ..known(shared, record)
    };
    let config = &shared.config;
    let delay = config.estimator.retry_after(&pending);
    let id = record.id.encode();
    let id = id.as_str();
    let reported = record.progress.is_some() || record.partial.is_some() || record.metadata.is_some();
    let usual = (!reported).then(|| Usual {
        id,
        state: record.state,
        created: Some(record.created),
        started: record.started,
        ended: record.ended,
        attempt: record.attempt,
        retry_after_ms: Some(whole_millis(delay)),
    });
    let json = usual.and_then(|usual| usual.to_json()).unwrap_or_else(|| {
        document(record).with_retry_after(delay).to_json()
    });
    let location = location(config, id, &pending, delay);
    let pattern = &shared.pattern;
    pattern.fill(&pattern.polled, record.state, location, delay, json)
}

/// The answer to a poll that comes before it is due while there is no place to hold it.
pub(crate) fn too_early(shared: &Shared, record: &JobRecord) -> Response<StoredBody> {
    let mut response = problem(ProblemType::PolledTooOften, Some(record.state));
    let delay = shared.config.estimator.retry_after(&known(shared, record));
    set_retry_after(response.headers_mut(), delay);
    response
}

/// What the Retry-After of a stored job is chosen by.
pub(crate) fn known<'a>(shared: &Shared, record: &'a JobRecord) -> Pending<'a> {
    Pending {
        running_for: record.running_for,
        progress: record.progress.as_ref(),
        jobs: shared.registry.pending().max(1),
        ..Pending::new(&record.route, record.age)
    }
}

/// The headers of pending answers, made once: a clone with its values filled in costs less than
/// headers that are put in one by one.
pub(crate) struct Pattern {
    status: StatusCode,
    /// Of an acceptance.
    accepted: HeaderMap,
    /// Of the answer to a GET.
    polled: HeaderMap,
}

impl Pattern {
    pub(crate) fn new(config: &Config) -> Self {
        let open = HeaderValue::from_static("/");
        let mut accepted = HeaderMap::with_capacity(USUAL_HEADERS);
        accepted.insert(CONTENT_TYPE, JSON);
        set_no_store(&mut accepted);
        set_state(&mut accepted, JobState::Running);
        set_retry_after(&mut accepted, Duration::ZERO);
        let status = match config.pending_status {
            PendingStatus::SeeOther => StatusCode::SEE_OTHER,
            PendingStatus::Accepted => {
                accepted.insert(CONTENT_LOCATION, open.clone());
                StatusCode::ACCEPTED
            }
        };
        accepted.insert(LOCATION, open);
        let mut polled = accepted.clone();
        // What the choice between the pending answers to a GET depends on (RFC 9110, section
        // 12.5.5).
        let vary = if config.page { "accept, prefer" } else { "prefer" };
        polled.insert(VARY, HeaderValue::from_static(vary));
        Self { status, accepted, polled }
    }

    fn fill(
        &self,
        headers: &HeaderMap,
        state: JobState,
        mut location: HeaderValue,
        delay: Duration,
        json: Vec<u8>,
    ) -> Response<StoredBody> {
        let [mut seconds, mut millis] = retry_after_values(delay);
        let mut response = Response::new(StoredBody::from(json));
        *response.status_mut() = self.status;
        *response.headers_mut() = headers.clone();
        // On one pass over what is there, which costs less than looking each of them up.
        for (name, value) in response.headers_mut() {
            match name.as_str() {
                "retry-after" => mem::swap(value, &mut seconds),
                "retry-after-ms" => mem::swap(value, &mut millis),
                "content-location" => value.clone_from(&location),
                "location" => mem::swap(value, &mut location),
                "job-status" if state != JobState::Running => *value = state.header_value(),
                _ => {}
            }
        }
        response
    }
}

fn whole_millis(delay: Duration) -> u64 {
    u64::try_from(delay.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Where to poll next. It tells how many answers this client has had and when it is due, in ms
/// since the acceptance: each Location differs, and nothing about the client needs remembering.
fn location(config: &Config, id: &str, pending: &Pending<'_>, delay: Duration) -> HeaderValue {
    let polls = pending.polls.saturating_add(1);
    let due = pending.age.saturating_add(delay).as_millis();
    let base = &*config.public_base;
    let (mut polls_text, mut due_text) = (itoa::Buffer::new(), itoa::Buffer::new());
    let polls = polls_text.format(polls);
    let due = due_text.format(u64::try_from(due).unwrap_or(u64::MAX));
    let parts = [base, "/", id, "?poll=", polls, "&due=", due];
    // Of just the size needed, so that it becomes shared bytes without more.
    let mut location = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        location.extend_from_slice(part.as_bytes());
    }
    HeaderValue::try_from(location).expect("the public base was checked")
}

/// Says what was honoured of what a submission preferred.
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

/// Says of an answer that came inline that its client's wait was honoured (RFC 7240, section 3).
pub(crate) fn apply_wait(headers: &mut HeaderMap, prefer: &Prefer) {
    if let Some(wait) = prefer.wait() {
        PreferenceApplied::new().with_wait(wait).append_to(headers);
    }
}

/// The status document, whatever the state: `{job}/status`, and the answer to a cancellation.
///
/// Of a pending job it says when to ask again, as the pending answers do.
pub(crate) fn status(
    shared: &Shared,
    record: &JobRecord,
    status: StatusCode,
) -> Response<StoredBody> {
    let mut document = document(record);
    let estimator = &shared.config.estimator;
    let is_pending = record.state.is_pending();
    let delay = is_pending.then(|| estimator.retry_after(&known(shared, record)));
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

fn document(record: &JobRecord) -> StatusDocument {
    let mut document = StatusDocument::new(record.id.encode().as_ref(), record.state);
    document.created = Some(record.created);
    document.started = record.started;
    document.ended = record.ended;
    document.attempt = record.attempt;
    document.progress = record.progress.clone();
    document.partial = record.partial.clone();
    document.metadata = record.metadata.clone();
    document
}

/// The answer of a job that has ended: the handler's response, or the problem that it ended with.
///
/// `trailers` says whether the connection can carry them.
pub(crate) fn ended(record: JobRecord, trailers: bool) -> Response<StoredBody> {
    let problem = match record.outcome {
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
        Some(RecordedOutcome::Problem(problem)) => *problem,
        _ => Problem::new(ProblemType::of(record.state).unwrap_or(ProblemType::JobFailed)),
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

/// A submission that is refused before, or instead of, becoming a job.
pub(crate) fn refusal(kind: ProblemType, protocol: Protocol) -> Response<StoredBody> {
    metrics::refused(kind);
    let mut response = match protocol {
        Protocol::Grpc => grpc::trailers_only(grpc::code_of_refusal(kind), kind.title()),
        _ => problem(kind, None),
    };
    if kind.status() == StatusCode::SERVICE_UNAVAILABLE {
        set_retry_after(response.headers_mut(), BUSY_RETRY_AFTER);
    }
    set_no_store(response.headers_mut());
    response
}

/// A submission for which there is no place.
pub(crate) fn no_place(no_place: NoPlace, protocol: Protocol) -> Response<StoredBody> {
    let mut response = refusal(no_place.problem, protocol);
    set_retry_after(response.headers_mut(), no_place.retry_after);
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

fn set_state(headers: &mut HeaderMap, state: JobState) {
    headers.insert(JOB_STATUS, state.header_value());
}

fn set_no_store(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

//! Pending answers: the acceptance of a submission, and the answers to polls until the job ends.

use std::{
    mem,
    time::{Duration, SystemTime},
};

use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{CONNECTION, CONTENT_LOCATION, LINK, LOCATION, RETRY_AFTER, VARY},
};
use http_polling::{
    JOB_STATUS, JobState, ProblemType, RETRY_AFTER_MS, StatusDocumentRef, retry_after_values,
    set_retry_after,
};
use tokio::time::Instant;
use tower_async_job_core::{JobId, JobRecord, Owner};

use crate::{
    answer::{
        document::{document, text},
        preferences::{apply_callback, apply_preferences},
        refusal::problem,
    },
    body::StoredBody,
    config::Config,
    context::job::JobContext,
    estimate::ObservedJob,
    node::front::Front,
    request::submission::{Asked, Submission},
};

/// A job that this node has stored.
pub(crate) struct AcceptedJob<'a> {
    pub(crate) id: &'a JobId,
    pub(crate) route: &'a str,
    pub(crate) queued: bool,
    /// The time of its creation by the store's clock, for people to read.
    pub(crate) created: SystemTime,
    /// The time since its acceptance.
    pub(crate) age: Duration,
    pub(crate) now: Instant,
    /// The context of its run here.
    pub(crate) context: Option<&'a JobContext>,
}

/// Returns the acceptance of a submission.
pub(crate) fn accepted(
    front: &Front,
    job: &AcceptedJob<'_>,
    submission: &Submission,
) -> Response<StoredBody> {
    let AcceptedJob {
        id,
        route,
        queued,
        created,
        age,
        now,
        context,
    } = *job;
    let reported = context.and_then(|context| context.reported(front.node.config.report_limit));
    let (job, id) = (id, id.encode());
    let pending = ObservedJob::at(route, age, now.into_std());
    let mut pending = front
        .node
        .among_others(submission.principal.as_ref(), pending);
    let mut document = StatusDocumentRef::new(id.as_str(), JobState::Queued);
    document.created = Some(created);
    if queued {
        pending.running_for = None;
        pending.attempt = 0;
    } else {
        document.state = JobState::Running;
        document.started = Some(created);
        document.attempt = context.map_or(1, JobContext::attempt);
    }
    if let Some(reported) = &reported {
        pending.progress = reported.progress.as_ref();
        document.progress = reported.progress.as_ref();
        document.partial = reported.partial.as_ref().map(text);
        document.metadata = reported.metadata.as_ref().map(text);
    }
    let status = submission.policy(&front.config).pending_status;
    let template = front.templates.of(status);
    let headers = match submission.method {
        Method::GET => &template.polled,
        _ => &template.accepted,
    };
    let asked = &submission.asked;
    let mut response = announce(
        front,
        template.status,
        headers,
        job,
        &pending,
        document,
        asked.may_close,
    );
    follow_to_page(&mut response, asked);
    apply_preferences(response.headers_mut(), &asked.prefer);
    if submission.notify.is_some() {
        apply_callback(response.headers_mut());
    }
    response
}

/// Returns the acceptance of a submission whose job is known by its record, in the form of the
/// [first](accepted). Its client may have `waited` for the end.
pub(crate) fn accepted_before(
    front: &Front,
    record: &JobRecord,
    asked: &Asked,
    waited: bool,
) -> Response<StoredBody> {
    let mut response = pending(front, record, 0, asked.may_close);
    // Vary applies to answers to GET only.
    response.headers_mut().remove(VARY);
    follow_to_page(&mut response, asked);
    if waited {
        apply_preferences(response.headers_mut(), &asked.prefer);
    }
    response
}

/// Redirects a browser to the page; with 202 it would show the status document.
fn follow_to_page(response: &mut Response<StoredBody>, asked: &Asked) {
    if asked.page {
        response.headers_mut().remove(CONTENT_LOCATION);
        *response.status_mut() = StatusCode::SEE_OTHER;
    }
}

/// Returns the answer to a poll of a pending job.
///
/// `may_close` is whether its connection may be closed.
pub(crate) fn pending(
    front: &Front,
    record: &JobRecord,
    polls: u32,
    may_close: bool,
) -> Response<StoredBody> {
    let pending = ObservedJob {
        polls,
        ..known(front, record)
    };
    let id = record.id.encode();
    let document = document(record, id.as_str());
    let template = front.templates.of(record.pending_status);
    announce(
        front,
        template.status,
        &template.polled,
        &record.id,
        &pending,
        document,
        may_close,
    )
}

#[inline]
fn announce(
    front: &Front,
    status: StatusCode,
    template: &HeaderMap,
    job: &JobId,
    pending: &ObservedJob<'_>,
    document: StatusDocumentRef<'_>,
    may_close: bool,
) -> Response<StoredBody> {
    let delay = front.node.retry_after(job, pending);
    let mut location = location(&front.config, document.id, pending, delay);
    let [mut seconds, mut millis] = retry_after_values(delay);
    let events = (front.config.events).then(|| link_to_events(&front.config, document.id));
    let json = document.with_retry_after(delay).to_json();
    let mut response = Response::new(StoredBody::from(json));
    *response.status_mut() = status;
    *response.headers_mut() = template.clone();
    // One pass over the headers is cheaper than a lookup for each.
    for (name, value) in response.headers_mut() {
        if *name == LOCATION {
            mem::swap(value, &mut location);
        } else if *name == RETRY_AFTER {
            mem::swap(value, &mut seconds);
        } else if *name == RETRY_AFTER_MS {
            mem::swap(value, &mut millis);
        } else if *name == CONTENT_LOCATION {
            value.clone_from(&location);
        } else if *name == JOB_STATUS && document.state != JobState::Running {
            *value = document.state.header_value();
        }
    }
    if let Some(events) = events {
        response.headers_mut().insert(LINK, events);
    }
    if may_close {
        close_if_far_off(front, pending, delay, response.headers_mut());
    }
    response
}

/// Returns the URL of the next poll. It contains the number of answers that this client has had,
/// and the due time in ms since the acceptance. So each Location differs, and no state is kept of
/// the client.
fn location(config: &Config, id: &str, pending: &ObservedJob<'_>, delay: Duration) -> HeaderValue {
    let polls = pending.polls.saturating_add(1);
    let due = pending.age.saturating_add(delay).as_millis();
    let due = u64::try_from(due).unwrap_or(u64::MAX);
    let (mut polls_text, mut due_text) = (itoa::Buffer::new(), itoa::Buffer::new());
    let (polls, due) = (polls_text.format(polls), due_text.format(due));
    // Of the exact size, so that it becomes shared bytes without a copy.
    let location = [&*config.public_base, "/", id, "?poll=", polls, "&due=", due].concat();
    HeaderValue::try_from(location).expect("the public base was checked")
}

/// Returns the link of a pending answer to the events of its job (RFC 5989, section 5).
fn link_to_events(config: &Config, id: &str) -> HeaderValue {
    let link = [
        "<",
        &*config.public_base,
        "/",
        id,
        "/events>; rel=\"monitor\"",
    ]
    .concat();
    HeaderValue::try_from(link).expect("the public base was checked")
}

/// Closes the connection after this answer, if the next poll is far off and its delay is no guess.
fn close_if_far_off(
    front: &Front,
    pending: &ObservedJob<'_>,
    delay: Duration,
    headers: &mut HeaderMap,
) {
    let is_far_off = front
        .config
        .close_connections_from
        .is_some_and(|shortest| delay >= shortest);
    if is_far_off && !front.node.config.estimator.is_guess(pending) {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Returns the answer to a premature poll that cannot be held.
pub(crate) fn too_early(front: &Front, record: &JobRecord) -> Response<StoredBody> {
    let mut response = problem(ProblemType::PolledTooOften, Some(record.state));
    let delay = front.node.retry_after(&record.id, &known(front, record));
    set_retry_after(response.headers_mut(), delay);
    response
}

/// Returns the data of a stored job by which its Retry-After is chosen.
pub(crate) fn known<'a>(front: &Front, record: &'a JobRecord) -> ObservedJob<'a> {
    let lease_of = || front.node.store.properties().lease;
    let renewed_ago = |left| Some(lease_of()?.saturating_sub(left));
    let pending = ObservedJob {
        running_for: record.running_for,
        attempt: record.attempt,
        progress: record.progress.as_ref(),
        renewed_ago: record.lease_remaining.and_then(renewed_ago),
        lease_remaining: record.lease_remaining,
        ..ObservedJob::new(&record.route, record.age)
    };
    let principal = record.owner.as_ref().and_then(Owner::principal);
    front.node.among_others(principal, pending)
}

//! Pending answers: the acceptance of a submission, and the answers to polls until the job ends.

use std::{
    mem,
    time::{Duration, SystemTime},
};

use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{CONNECTION, CONTENT_LOCATION, LOCATION, RETRY_AFTER},
};
use http_polling::{JOB_STATUS, JobState, RETRY_AFTER_MS, StatusDocumentRef, retry_after_values};
use tokio::time::Instant;
use tower_async_job_core::{JobId, JobRecord};

use super::{apply_preferences, document, known, text};
use crate::{
    body::StoredBody, config::Config, context::JobContext, estimate::Pending, node::front::Front,
    request::submission::Submission,
};

/// The acceptance of a submission.
pub(crate) fn accepted(
    front: &Front,
    id: &JobId,
    queued: bool,
    route: &str,
    submission: &Submission,
    context: &JobContext,
    now: Instant,
) -> Response<StoredBody> {
    let reported = context.reported(front.node.config.report_limit);
    let (job, id) = (id, id.encode());
    let pending = Pending::at(now, route, Duration::ZERO);
    let mut pending = front
        .node
        .among_others(submission.principal.as_ref(), pending);
    let mut document = StatusDocumentRef::new(id.as_str(), JobState::Queued);
    let created = SystemTime::now();
    document.created = Some(created);
    if queued {
        pending.running_for = None;
    } else {
        document.state = JobState::Running;
        document.started = Some(created);
        document.attempt = context.attempt();
    }
    if let Some(reported) = &reported {
        pending.progress = reported.progress.as_ref();
        document.progress = reported.progress.as_ref();
        document.partial = reported.partial.as_ref().map(text);
        document.metadata = reported.metadata.as_ref().map(text);
    }
    let templates = &front.templates;
    let template = match submission.method {
        Method::GET => &templates.polled,
        _ => &templates.accepted,
    };
    let may_close = submission.asked.may_close;
    let mut response = announce(front, template, job, &pending, document, may_close);
    if submission.asked.page {
        // A browser follows this to the page; a 202 would end in showing the status document.
        response.headers_mut().remove(CONTENT_LOCATION);
        *response.status_mut() = StatusCode::SEE_OTHER;
    }
    apply_preferences(response.headers_mut(), &submission.asked.prefer);
    response
}

/// The answer to a poll of a job that has not ended.
///
/// `may_close` says whether its connection may be closed.
pub(crate) fn pending(
    front: &Front,
    record: &JobRecord,
    polls: u32,
    may_close: bool,
) -> Response<StoredBody> {
    let pending = Pending {
        polls,
        ..known(front, record)
    };
    let id = record.id.encode();
    let document = document(record, id.as_str());
    let template = &front.templates.polled;
    announce(front, template, &record.id, &pending, document, may_close)
}

#[inline]
fn announce(
    front: &Front,
    template: &HeaderMap,
    job: &JobId,
    pending: &Pending<'_>,
    document: StatusDocumentRef<'_>,
    may_close: bool,
) -> Response<StoredBody> {
    let delay = front.node.retry_after(job, pending);
    let mut location = location(&front.config, document.id, pending, delay);
    let [mut seconds, mut millis] = retry_after_values(delay);
    let json = document.with_retry_after(delay).to_json();
    let mut response = Response::new(StoredBody::from(json));
    *response.status_mut() = front.templates.status;
    *response.headers_mut() = template.clone();
    // One pass over the headers costs less than looking each of them up.
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
    if may_close {
        close_if_far_off(front, pending, delay, response.headers_mut());
    }
    response
}

/// Returns the URL of the next poll. It tells how many answers this client has had and when it is due, in ms
/// since the acceptance: each Location differs, and nothing about the client needs remembering.
fn location(config: &Config, id: &str, pending: &Pending<'_>, delay: Duration) -> HeaderValue {
    let polls = pending.polls.saturating_add(1);
    let due = pending.age.saturating_add(delay).as_millis();
    let due = u64::try_from(due).unwrap_or(u64::MAX);
    let (mut polls_text, mut due_text) = (itoa::Buffer::new(), itoa::Buffer::new());
    let (polls, due) = (polls_text.format(polls), due_text.format(due));
    // Of just the size needed, so that it becomes front bytes as it is.
    let location = [&*config.public_base, "/", id, "?poll=", polls, "&due=", due].concat();
    HeaderValue::try_from(location).expect("the public base was checked")
}

/// Has the connection closed after this answer, if the next poll is far off and that is no guess.
fn close_if_far_off(
    front: &Front,
    pending: &Pending<'_>,
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

//! Pending answers: the acceptance of a submission, and the answers to polls until the job ends.

use std::{
    mem,
    time::{Duration, SystemTime},
};

use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{CONTENT_LOCATION, CONTENT_TYPE, LOCATION, RETRY_AFTER, VARY},
};
use http_polling::{
    JOB_STATUS, JSON, JobState, RETRY_AFTER_MS, StatusDocumentRef, retry_after_values,
    set_retry_after,
};
use tokio::time::Instant;
use tower_async_job_core::{JobId, JobRecord};

use super::{
    USUAL_HEADERS, among_others, apply_preferences, document, known, set_no_store, set_state, text,
};
use crate::{
    body::StoredBody,
    closing::close_if_far_off,
    config::{Config, PendingStatus},
    context::JobContext,
    estimate::Pending,
    page,
    service::Submission,
    shared::Shared,
};

/// The acceptance of a submission.
pub(crate) fn accepted(
    shared: &Shared,
    id: &JobId,
    queued: bool,
    route: &str,
    submission: &Submission,
    context: &JobContext,
    now: Instant,
) -> Response<StoredBody> {
    let reported = context.reported(shared.config.report_limit);
    let (job, id) = (id, id.encode());
    let pending = Pending::at(now, route, Duration::ZERO);
    let mut pending = among_others(shared, submission.principal.as_ref(), pending);
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
    let templates = &shared.templates;
    let template = match submission.method {
        Method::GET => &templates.polled,
        _ => &templates.accepted,
    };
    let may_close = submission.asked.may_close;
    let mut response = announce(shared, template, job, &pending, document, may_close);
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
    shared: &Shared,
    record: &JobRecord,
    polls: u32,
    may_close: bool,
) -> Response<StoredBody> {
    let pending = Pending {
        polls,
        ..known(shared, record)
    };
    let id = record.id.encode();
    let document = document(record, id.as_str());
    let template = &shared.templates.polled;
    announce(shared, template, &record.id, &pending, document, may_close)
}

#[inline]
fn announce(
    shared: &Shared,
    template: &HeaderMap,
    job: &JobId,
    pending: &Pending<'_>,
    document: StatusDocumentRef<'_>,
    may_close: bool,
) -> Response<StoredBody> {
    let delay = shared.retry_after(job, pending);
    let mut location = location(&shared.config, document.id, pending, delay);
    let [mut seconds, mut millis] = retry_after_values(delay);
    let json = document.with_retry_after(delay).to_json();
    let mut response = Response::new(StoredBody::from(json));
    *response.status_mut() = shared.templates.status;
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
        close_if_far_off(&shared.config, pending, delay, response.headers_mut());
    }
    response
}

/// The headers of a layer's pending answers, made once. To clone them and fill in values costs
/// less than to insert headers one by one.
#[derive(Debug)]
pub(crate) struct Templates {
    status: StatusCode,
    /// For acceptances.
    accepted: HeaderMap,
    /// For answers to GET.
    polled: HeaderMap,
}

impl Templates {
    pub(crate) fn new(config: &Config) -> Self {
        // Filled in with each answer's own, after the Content-Location, which has the same value.
        let location = HeaderValue::from_static("/");
        let mut accepted = HeaderMap::with_capacity(USUAL_HEADERS);
        accepted.insert(CONTENT_TYPE, JSON);
        set_no_store(&mut accepted);
        set_state(&mut accepted, JobState::Running);
        set_retry_after(&mut accepted, Duration::ZERO);
        let status = match config.pending_status {
            PendingStatus::SeeOther => StatusCode::SEE_OTHER,
            PendingStatus::Accepted => {
                accepted.insert(CONTENT_LOCATION, location.clone());
                StatusCode::ACCEPTED
            }
        };
        accepted.insert(LOCATION, location);
        let mut polled = accepted.clone();
        // The choice between the pending answers to a GET depends on these (RFC 9110, section
        // 12.5.5).
        let vary = if config.page { page::VARY } else { "prefer" };
        polled.insert(VARY, HeaderValue::from_static(vary));
        Self {
            status,
            accepted,
            polled,
        }
    }
}

/// Returns the URL of the next poll. It tells how many answers this client has had and when it is due, in ms
/// since the acceptance: each Location differs, and nothing about the client needs remembering.
fn location(config: &Config, id: &str, pending: &Pending<'_>, delay: Duration) -> HeaderValue {
    let polls = pending.polls.saturating_add(1);
    let due = pending.age.saturating_add(delay).as_millis();
    let due = u64::try_from(due).unwrap_or(u64::MAX);
    let (mut polls_text, mut due_text) = (itoa::Buffer::new(), itoa::Buffer::new());
    let (polls, due) = (polls_text.format(polls), due_text.format(due));
    // Of just the size needed, so that it becomes shared bytes as it is.
    let location = [&*config.public_base, "/", id, "?poll=", polls, "&due=", due].concat();
    HeaderValue::try_from(location).expect("the public base was checked")
}

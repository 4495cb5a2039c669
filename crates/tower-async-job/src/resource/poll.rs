//! Polls: answered at once, or held until the job ends or their time is over.

use std::{sync::Arc, time::Duration};

use http::{Method, Response};
use http_polling::{JobState, PreferenceApplied};
use tower_async_job_core::{Detail, JobId, JobRecord, StoreError, Subscription};

use crate::{
    answer::{self, Answer},
    body::StoredBody,
    node::{front::Front, held::Place, wait::record_until},
    request::conditions::Conditions,
    resource::{
        page,
        request::{Asked, Part, ResourceRequest},
        unreadable::{opened, unreadable},
    },
    time::later,
};

/// Begins a poll if the store has the job immediately.
#[inline(always)]
pub(super) fn begin_now(front: &Arc<Front>, request: &ResourceRequest) -> Option<Begun> {
    let (&Method::GET, Some((id, Part::Job))) = (&request.method, &request.target) else {
        return None;
    };
    match &front.node.store.read_now(id, Detail::Full)? {
        // The subscription to a job that has ended meanwhile resolves too.
        Ok(record) => Some(begin(front, request, id, record.as_ref(), || {
            Some(front.node.store.subscribe(id))
        })),
        Err(_) => None,
    }
}

/// Answers a poll.
pub(super) async fn poll(
    front: &Arc<Front>,
    request: &ResourceRequest,
    id: &JobId,
) -> Result<Response<StoredBody>, StoreError> {
    let detail = match request.method {
        Method::HEAD => Detail::Head,
        _ => Detail::Full,
    };
    // Registered before the read, so that no end is missed.
    let ended = (request.may_be_held(front)).then(|| front.node.store.subscribe(id));
    let record = front.node.store.read(id, detail).await?;
    match begin(front, request, id, record.as_ref(), || ended) {
        // Only the head of it is sent.
        Begun::Answered(response) if request.method == Method::HEAD => Ok(response),
        Begun::Answered(response) => Ok(opened(response, request.page).await),
        Begun::Held(held) => Ok(held.answer().await),
    }
}

/// A poll whose job is read.
pub(super) enum Begun {
    Answered(Response<StoredBody>),
    Held(Held),
}

/// Begins a poll. `ended` returns the subscription to the end of the job, for a poll that is held.
#[inline(always)]
fn begin(
    front: &Arc<Front>,
    request: &ResourceRequest,
    id: &JobId,
    record: Option<&JobRecord>,
    ended: impl FnOnce() -> Option<Subscription>,
) -> Begun {
    let record = record.filter(|record| request.may_see(record));
    // A result names its run itself.
    if record.is_some_and(|record| record.state != JobState::Done) {
        front.node.links.link(id);
    }
    let pending = record.filter(|record| record.state.is_pending());
    let at_once = || {
        let conditions = record.and_then(|record| request.conditions(record));
        let asked = request.asked(pending);
        Begun::Answered(polled(front, id, asked, conditions, record, false))
    };
    let hold = pending.and_then(|pending| request.hold(front, pending));
    let (Some(pending), Some(time)) = (pending, hold) else {
        return at_once();
    };
    match Place::take(front, request.principal.as_ref()) {
        Some(place) => Begun::Held(Held {
            place,
            id: *id,
            ended: ended(),
            time,
            asked: request.asked(None),
            waits: request.wait.is_some(),
        }),
        None if request.wait.is_some() => at_once(),
        None => {
            log(request.hints.polls, Some(pending), false);
            Begun::Answered(answer::too_early(front, pending))
        }
    }
}

/// A held poll. It keeps little of its request, since there may be many.
pub(super) struct Held {
    place: Place,
    id: JobId,
    ended: Option<Subscription>,
    time: Duration,
    asked: Asked,
    /// The client asked to wait.
    waits: bool,
}

impl Held {
    pub(super) fn answer(mut self) -> Answer {
        Box::pin(async move {
            let (node, until) = (&self.place.front().node, later(self.time));
            match record_until(node, &self.id, until, &mut self.ended).await {
                Ok(record) => opened(self.answered(record.as_ref()), self.asked.page).await,
                Err(error) => unreadable(self.asked.page, &error),
            }
        })
    }

    fn answered(&self, record: Option<&JobRecord>) -> Response<StoredBody> {
        // It came while the job was pending, so its conditions are not for the result.
        let mut response = polled(self.place.front(), &self.id, self.asked, None, record, true);
        if self.waits {
            // The request to wait was honoured, under the cap (RFC 7240, section 3).
            let applied = PreferenceApplied::new().with_wait(self.time);
            applied.append_to(response.headers_mut());
        }
        response
    }
}

/// Returns the answer to a poll, given the job.
#[inline(always)]
fn polled(
    front: &Arc<Front>,
    id: &JobId,
    asked: Asked,
    conditions: Option<Conditions<'_>>,
    record: Option<&JobRecord>,
    held: bool,
) -> Response<StoredBody> {
    let polls = asked.polls;
    log(polls, record, held);
    match record {
        None => answer::unknown(),
        Some(record) if record.state.is_pending() => {
            let pending = answer::pending(front, record, polls, asked.may_close);
            if asked.page {
                page::show(front, record, pending)
            } else {
                pending
            }
        }
        Some(record) => {
            let (mut response, rest_from) =
                answer::result(&front.node.store, record, asked.trailers, conditions);
            let Some(first) = rest_from.filter(|_| asked.delivers) else {
                return response;
            };
            front.node.undelivered.delivered(id, polls);
            front.node.expected.came(id);
            front.node.learn_from(record);
            if let Some(delivery) = front.node.deliveries.from(id, first) {
                // In place, since moving it is expensive.
                response.body_mut().deliver(delivery);
            }
            response
        }
    }
}

/// Logs a poll.
fn log(poll: u32, record: Option<&JobRecord>, held: bool) {
    let state = record.map_or(JobState::Unknown, |record| record.state);
    let handle = record.map(|record| tracing::field::display(record.handle));
    tracing::debug!(handle, poll, %state, held, "job polled");
}

//! Polls: answered at once, or held until the job ends or their time is up.

use std::{sync::Arc, time::Duration};

use http::{Method, Response};
use http_polling::PreferenceApplied;
use tower_async_job_core::{Detail, JobId, JobRecord, StoreError};

use super::{ResourceRequest, request::Part, unreadable};
use crate::{
    answer,
    body::StoredBody,
    hold::{self, Place},
    shared::{Shared, later},
    trace,
};

/// Begins a poll if the store has the job at hand.
#[inline(always)]
pub(super) fn begin_now(shared: &Arc<Shared>, request: &ResourceRequest) -> Option<(JobId, Begun)> {
    let (&Method::GET, Some((id, Part::Job))) = (&request.method, &request.target) else {
        return None;
    };
    match &shared.store.read_now(id, Detail::Full)? {
        Ok(record) => Some((*id, begin(shared, request, id, record.as_ref()))),
        Err(_) => None,
    }
}

/// Answers a poll.
pub(super) async fn poll(
    shared: &Arc<Shared>,
    request: &ResourceRequest,
    id: &JobId,
) -> Result<Response<StoredBody>, StoreError> {
    let record = shared.store.read(id, Detail::Full).await?;
    match begin(shared, request, id, record.as_ref()) {
        Begun::Answered(response) => Ok(response),
        Begun::Held(place, time) => Ok(held(place, request, id, time).await),
    }
}

/// A poll whose job has been read.
pub(super) enum Begun {
    Answered(Response<StoredBody>),
    /// To be held in this place, for so long.
    Held(Place, Duration),
}

#[inline(always)]
fn begin(
    shared: &Arc<Shared>,
    request: &ResourceRequest,
    id: &JobId,
    record: Option<&JobRecord>,
) -> Begun {
    let record = record.filter(|record| request.may_see(record));
    if record.is_some() {
        shared.links.link(id);
    }
    let pending = record.filter(|record| record.state.is_pending());
    let hold = pending.and_then(|pending| request.hold(&shared.config, pending));
    let (Some(pending), Some(time)) = (pending, hold) else {
        return Begun::Answered(polled(shared, request, id, record, false));
    };
    match Place::take(shared, request.principal.as_ref()) {
        Some(place) => Begun::Held(place, time),
        None if request.wait.is_some() => {
            Begun::Answered(polled(shared, request, id, record, false))
        }
        None => {
            trace::polled(id, request.hints.polls, Some(pending.state), false);
            Begun::Answered(answer::too_early(shared, pending))
        }
    }
}

/// Answers a poll that is held.
pub(super) async fn held(
    place: Place,
    request: &ResourceRequest,
    id: &JobId,
    time: Duration,
) -> Response<StoredBody> {
    let shared = place.shared();
    match hold::record_until(shared, id, later(time)).await {
        Ok(record) => {
            let mut response = polled(shared, request, id, record.as_ref(), true);
            if request.wait.is_some() {
                // RFC 7240, section 3: what was asked was done, under the cap.
                let applied = PreferenceApplied::new().with_wait(time);
                applied.append_to(response.headers_mut());
            }
            response
        }
        Err(error) => unreadable(request, id, &error),
    }
}

/// The answer to a poll, once the job is as it is.
#[inline(always)]
fn polled(
    shared: &Shared,
    request: &ResourceRequest,
    id: &JobId,
    record: Option<&JobRecord>,
    held: bool,
) -> Response<StoredBody> {
    let polls = request.hints.polls;
    trace::polled(id, polls, record.map(|record| record.state), held);
    match record {
        None => answer::unknown(),
        Some(record) if record.state.is_pending() => request.pending(shared, record, held),
        Some(record) => {
            if request.method == Method::GET {
                shared.undelivered.delivered(id, polls);
            }
            answer::ended(record, request.trailers)
        }
    }
}

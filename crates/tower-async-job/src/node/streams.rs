//! Open-ended answers: websockets and event streams.
//!
//! Once their head is ready, they exchange their place among the running requests for one of their
//! own, so that a few of them do not block all others.

use std::sync::Arc;

use http::{Request, Response, StatusCode, header::CONTENT_TYPE};
use tower_async_job_core::Principal;

use crate::{
    node::{
        capacity::{Admission, BUSY_RETRY_AFTER, NoPlace},
        holds::Holds,
        state::Node,
    },
    request::{glance::is_event_stream, submission::Asked},
    stream_place::StreamPlace,
};

/// A place among the streams; released when dropped.
pub(crate) struct Taken {
    streams: Arc<Holds>,
    principal: Option<Principal>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.streams.leave(self.principal.as_ref());
    }
}

pub(crate) fn take(streams: &Arc<Holds>, principal: Option<&Principal>) -> Result<Taken, NoPlace> {
    streams
        .enter(principal)
        .map_err(|problem| NoPlace::yet(problem, BUSY_RETRY_AFTER))?;
    Ok(Taken {
        streams: streams.clone(),
        principal: principal.cloned(),
    })
}

/// Adds a place to a request that asks for an upgrade or a tunnel, if streams are limited.
pub(crate) fn place<B>(
    asked: &Asked,
    node: &Node,
    request: &mut Request<B>,
) -> Option<StreamPlace> {
    ((asked.upgrade || asked.tunnel) && node.streams.is_some()).then(|| {
        let place = StreamPlace::default();
        request.extensions_mut().insert(place.clone());
        place
    })
}

/// Exchanges the place of a request among the running for one among the streams, if its answer is a
/// recorded event stream: it may last as long as one that is sent.
pub(crate) fn place_of_recorded<R>(
    response: &Response<R>,
    node: &Node,
    running: Option<Box<Admission>>,
) -> Result<RecordingPlace, NoPlace> {
    match (running, &node.streams) {
        (Some(running), Some(streams)) if has_events(response) => Ok(RecordingPlace {
            _stream: Some(take(streams, running.principal())?),
            _running: None,
        }),
        (running, _) => Ok(RecordingPlace {
            _stream: None,
            _running: running,
        }),
    }
}

/// The place of a recorded response, if either kind is limited; released when dropped.
pub(crate) struct RecordingPlace {
    _running: Option<Box<Admission>>,
    _stream: Option<Taken>,
}

fn has_events<R>(response: &Response<R>) -> bool {
    response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|value| is_event_stream(value.as_bytes()))
}

/// Returns whether an answer is open-ended: it has changed the connection's protocol, or is an
/// event stream.
pub(crate) fn is_stream<R, E>(asked: &Asked, result: &Result<Response<R>, E>) -> bool {
    let Ok(response) = result else { return false };
    let status = response.status();
    status == StatusCode::SWITCHING_PROTOCOLS
        || asked.tunnel && status.is_success()
        || has_events(response)
}

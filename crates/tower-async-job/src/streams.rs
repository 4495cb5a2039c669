//! Answers that do not end by themselves: websockets and event streams.
//!
//! They leave the place among the running requests when their head is there, for one of their own, so
//! that a few of them do not shut out everybody else.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use http::{Extensions, Request, Response, StatusCode, header::CONTENT_TYPE};
use tower_async_job_core::Principal;

use crate::{
    answer::BUSY_RETRY_AFTER,
    capacity::{Admission, NoPlace},
    glance::is_event_stream,
    hold::Holds,
    service::Asked,
    shared::Shared,
};

/// A place among the [streams](crate::Builder::streams), to be kept by a handler for as long as a
/// websocket lasts.
///
/// An upgraded connection is out of the layer's sight: nothing tells when it ends. So the place that
/// a 101 answer takes is given back when the answer's body and all clones of this value have been
/// dropped, and a handler moves one into the task that serves the connection. Without it the place is
/// given back at once. An event stream needs none: its place ends with its body.
///
/// The layer puts it into the extensions of requests that ask for an upgrade, and of CONNECT.
///
/// ```
/// use http::{Request, Response, StatusCode};
/// use tower_async_job::StreamPlace;
///
/// async fn websocket(request: Request<()>) -> Response<String> {
///     let place = StreamPlace::of(&request);
///     tokio::spawn(async move {
///         // … the conversation over the upgraded connection …
///         drop(place);
///     });
///     let mut response = Response::default();
///     *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
///     response
/// }
/// # let _ = websocket;
/// ```
///
/// With the feature `axum` it is an extractor that never fails.
#[derive(Clone, Default)]
pub struct StreamPlace {
    taken: Arc<OnceLock<Taken>>,
}

/// A place that is taken; given back on drop.
struct Taken {
    shared: Arc<Shared>,
    principal: Option<Principal>,
}

impl StreamPlace {
    /// Returns the place of a request; one that counts nowhere, if the layer has put none there.
    ///
    /// ```
    /// let place = tower_async_job::StreamPlace::of(&http::Request::new(()));
    /// drop(place);
    /// ```
    #[must_use]
    pub fn of<B>(request: &Request<B>) -> Self {
        Self::from_extensions(request.extensions())
    }

    fn from_extensions(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }

    /// Takes the place, where streams are limited.
    pub(crate) fn take(
        &self,
        shared: &Arc<Shared>,
        streams: &Holds,
        principal: Option<&Principal>,
    ) -> Result<(), NoPlace> {
        streams
            .enter(principal)
            .map_err(|problem| NoPlace::yet(problem, BUSY_RETRY_AFTER))?;
        let taken = Taken {
            shared: shared.clone(),
            principal: principal.cloned(),
        };
        // An answer has one head, so there is none yet.
        drop(self.taken.set(taken));
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(streams) = &self.shared.streams {
            streams.leave(self.principal.as_ref());
        }
    }
}

impl fmt::Debug for StreamPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamPlace").finish_non_exhaustive()
    }
}

#[cfg(feature = "axum")]
impl<S: Sync> axum_core::extract::FromRequestParts<S> for StreamPlace {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        _: &S,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self::from_extensions(&parts.extensions))
    }
}

/// Puts a place into a request that asks for a connection of its own, if such are limited.
pub(crate) fn place<B>(
    asked: &Asked,
    shared: &Shared,
    request: &mut Request<B>,
) -> Option<StreamPlace> {
    ((asked.upgrade || asked.tunnel) && shared.streams.is_some()).then(|| {
        let place = StreamPlace::default();
        request.extensions_mut().insert(place.clone());
        place
    })
}

/// Takes the place of an event stream that is recorded, for that of its request among the running: it may
/// last as long as one that is sent.
pub(crate) fn place_of_recorded<R>(
    response: &Response<R>,
    shared: &Arc<Shared>,
    running: Option<Box<Admission>>,
) -> Result<RecordingPlace, NoPlace> {
    match (running, &shared.streams) {
        (Some(running), Some(streams)) if has_events(response) => {
            let place = StreamPlace::default();
            place.take(shared, streams, running.principal())?;
            Ok(RecordingPlace::Stream(place))
        }
        (running, _) => Ok(RecordingPlace::Running(running)),
    }
}

/// The place of a response that is recorded; given back on drop.
#[expect(dead_code, reason = "they are only held")]
pub(crate) enum RecordingPlace {
    Running(Option<Box<Admission>>),
    Stream(StreamPlace),
}

fn has_events<R>(response: &Response<R>) -> bool {
    response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|value| is_event_stream(value.as_bytes()))
}

/// Returns whether an answer does not end by itself: it has changed the connection's protocol, or is
/// an event stream.
pub(crate) fn is_stream<R, E>(asked: &Asked, result: &Result<Response<R>, E>) -> bool {
    let Ok(response) = result else { return false };
    let status = response.status();
    status == StatusCode::SWITCHING_PROTOCOLS
        || asked.tunnel && status.is_success()
        || has_events(response)
}

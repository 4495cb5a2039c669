//! The place of an answer that does not end by itself, as its handler has it.

use std::{
    any::Any,
    fmt,
    sync::{Arc, OnceLock},
};

use http::{Extensions, Request};

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
    taken: Arc<OnceLock<Box<dyn Any + Send + Sync>>>,
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

    /// Keeps a taken place until all clones of this are dropped.
    pub(crate) fn keep(&self, taken: impl Any + Send + Sync) {
        // An answer has one head, so there is none yet.
        drop(self.taken.set(Box::new(taken)));
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

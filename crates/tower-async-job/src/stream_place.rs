//! The place of a websocket among the streams, in the hands of its handler.

use std::{
    any::Any,
    fmt,
    sync::{Arc, OnceLock},
};

use http::{Extensions, Request};

/// A place among the [streams](crate::Builder::streams), which a handler keeps while a websocket is
/// open.
///
/// The layer cannot see the end of an upgraded connection. So the place of a 101 answer is released
/// when the answer's body and all clones of this value have been dropped; a handler moves one into
/// the task that serves the connection. Without it, the place is released at once. An event stream
/// needs none: its place ends with its body.
///
/// The layer adds it to the extensions of requests that ask for an upgrade, and of CONNECT.
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
/// With the feature `axum` it is an infallible extractor.
#[derive(Clone, Default)]
pub struct StreamPlace {
    taken: Arc<OnceLock<Box<dyn Any + Send + Sync>>>,
}

impl StreamPlace {
    /// Returns the place of a request, or one that counts nowhere if the layer has added none.
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

    /// Holds a taken place until all clones of this are dropped.
    pub(crate) fn keep(&self, taken: impl Any + Send + Sync) {
        // An answer has one head, so the cell is empty.
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

//! The service.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use http_body::Body;
use tower::{BoxError, Service};

use crate::{
    Error, PollFuture, PollPolicy, StandardPolicy, config::Shared, prefer_async,
    submission::Submission,
};

/// A client that follows pending answers. Made by
/// [`PollLayer`](crate::PollLayer).
///
/// It is ready when the service beneath is, and gives that service's
/// readiness to the submission. Polls go through clones that become ready on
/// their own.
///
/// ```
/// use tower::{Layer, Service, ServiceExt};
/// use tower_poll::{PollLayer, PollService};
/// # use http::{Request, Response};
/// # use http_body_util::Empty;
/// # use bytes::Bytes;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_poll::Error> {
/// # let client = tower::service_fn(|_: Request<Empty<Bytes>>| async {
/// #     Ok::<_, std::convert::Infallible>(Response::new(Empty::<Bytes>::new()))
/// # });
///
/// let mut service: PollService<_> = PollLayer::new().layer(client);
/// let request = Request::post("https://example.com/report").body(Empty::<Bytes>::new()).unwrap();
/// let response = service.ready().await?.call(request).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PollService<S, P = StandardPolicy> {
    inner: S,
    shared: Arc<Shared<P>>,
}

impl<S, P> PollService<S, P> {
    pub(crate) fn new(inner: S, shared: Arc<Shared<P>>) -> Self {
        Self { inner, shared }
    }

    /// The service beneath.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// The service beneath.
    pub fn inner_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service beneath.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: Clone, P> Clone for PollService<S, P> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S, P, B, R> Service<Request<B>> for PollService<S, P>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    B: Default,
    R: Body,
    P: PollPolicy + Clone,
{
    type Response = Response<R>;
    type Error = Error;
    type Future = PollFuture<S, B, R, P>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(ready!(self.inner.poll_ready(cx)).map_err(Error::service))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let clone = self.inner.clone();
        let mut service = mem::replace(&mut self.inner, clone);
        let shared = Arc::clone(&self.shared);
        prefer_async::ask(&mut request, &shared.config);
        PollFuture::new(
            Submission::keep(&request, &shared.config),
            service.call(request),
            service,
            shared,
        )
    }
}

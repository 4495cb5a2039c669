//! Calls whose jobs are cancelled when they are dropped.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::{runtime::Handle, time::timeout};
use tower::{BoxError, Layer, Service, util::Oneshot};

use crate::{
    client::Client,
    error::Error,
    future::PollFuture,
    layer::PollLayer,
    policy::{poll_policy::PollPolicy, standard::StandardPolicy},
    polling::{BoxPolling, PATIENCE},
    service::PollService,
};

/// The layer that [`PollLayer::cancel_on_drop`] makes.
///
/// ```
/// use tower_poll::{CancelOnDropLayer, PollLayer};
///
/// let layer: CancelOnDropLayer = PollLayer::new().cancel_on_drop();
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct CancelOnDropLayer<P = StandardPolicy> {
    layer: PollLayer<P>,
}

impl<P> PollLayer<P> {
    /// Makes a layer that cancels the jobs of calls that are dropped.
    ///
    /// A future that is dropped while it polls then leaves a task behind. The
    /// task sends DELETE to the URL of the job, if that is known to be
    /// [one](crate::StopSignal::cancel_remotely). Without this, dropping the
    /// future does not affect the job.
    pub fn cancel_on_drop(self) -> CancelOnDropLayer<P> {
        CancelOnDropLayer { layer: self }
    }
}

impl<S, P: Clone> Layer<S> for CancelOnDropLayer<P> {
    type Service = CancelOnDrop<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        CancelOnDrop {
            inner: self.layer.layer(inner),
        }
    }
}

/// A [`PollService`] whose futures cancel their jobs when they are dropped.
///
/// ```
/// use tower::Layer;
/// use tower_poll::{CancelOnDrop, PollLayer};
///
/// let service: CancelOnDrop<_> = PollLayer::new().cancel_on_drop().layer(());
/// ```
#[derive(Clone, Debug)]
pub struct CancelOnDrop<S, P = StandardPolicy> {
    inner: PollService<S, P>,
}

impl<S, P> CancelOnDrop<S, P> {
    /// The service beneath.
    pub fn get_ref(&self) -> &S {
        self.inner.get_ref()
    }

    /// The service beneath.
    pub fn get_mut(&mut self) -> &mut S {
        self.inner.get_mut()
    }

    /// The service beneath.
    pub fn into_inner(self) -> S {
        self.inner.into_inner()
    }
}

impl<S, P, B, R> Service<Request<B>> for CancelOnDrop<S, P>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError> + Send,
    B: Default + Send + 'static,
    R: Body + Send + 'static,
    P: PollPolicy + Clone + Send + Sync + 'static,
{
    type Response = Response<R>;
    type Error = Error;
    type Future = CancelOnDropFuture<S, B, R, P>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        CancelOnDropFuture {
            future: self.inner.call(request),
            cancel: |future| {
                if let Some(polling) = future.take_polling()
                    && let Ok(runtime) = Handle::try_current()
                {
                    runtime.spawn(cancel(polling));
                }
            },
        }
    }
}

/// Cancels the job of a dropped call. Functions of the user's (the service, its
/// `clone`, a dialect) are called here and not in the destructor, where a panic
/// would abort the process.
async fn cancel<S: Client<B, R>, B: Default, R: Body, P: PollPolicy>(
    polling: BoxPolling<S, B, R, P>,
) {
    let cancellation = polling.cancellation();
    // A poll in flight may hold the only permit of the service.
    drop(polling);
    let Some((service, request)) = cancellation else {
        return;
    };
    match timeout(PATIENCE, Oneshot::new(service, request)).await {
        Ok(Ok(response)) => {
            let status = response.status().as_u16();
            tracing::debug!(status, "the job of a dropped call is cancelled");
        }
        _ => tracing::warn!("the job of a dropped call was not cancelled"),
    }
}

type Cancel<S, B, R, P> = fn(Pin<&mut PollFuture<S, B, R, P>>);

pin_project! {
    /// The future of a [`CancelOnDrop`].
    ///
    /// Dropped while it polls, it spawns a task on the current tokio runtime,
    /// which sends DELETE and waits up to 30 s for the answer. Without a
    /// runtime, and until the submission is answered, it only stops. Its bounds
    /// are those of [`PollFuture`].
    ///
    /// ```
    /// use tower::{Layer, Service};
    /// use tower_poll::{CancelOnDropFuture, PollLayer};
    /// # use http::{Request, Response};
    /// # let client = tower::service_fn(async |_: Request<String>| {
    /// #     Ok::<_, tower::BoxError>(Response::new(String::new()))
    /// # });
    ///
    /// let mut service = PollLayer::new().cancel_on_drop().layer(client);
    /// let future: CancelOnDropFuture<_, _, _, _> = service.call(Request::default());
    /// ```
    #[must_use = "futures do nothing unless polled"]
    pub struct CancelOnDropFuture<S, B, R, P>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        future: PollFuture<S, B, R, P>,
        // A function pointer, since a destructor cannot have further bounds.
        cancel: Cancel<S, B, R, P>,
    }

    impl<S, B, R, P> PinnedDrop for CancelOnDropFuture<S, B, R, P>
    where
        S: Service<Request<B>>,
    {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            (this.cancel)(this.future);
        }
    }
}

impl<S: Client<B, R>, B: Default, R: Body, P: PollPolicy + Clone> Future
    for CancelOnDropFuture<S, B, R, P>
{
    type Output = Result<Response<R>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(cx)
    }
}

impl<S: Service<Request<B>>, B, R, P> fmt::Debug for CancelOnDropFuture<S, B, R, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelOnDropFuture")
            .field("future", &self.future)
            .finish()
    }
}

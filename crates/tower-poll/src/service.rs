//! The service of the layer.

use std::{
    future::poll_fn,
    mem,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, Request, Response};
use http_body::Body;
use tower::{BoxError, Service};

use crate::{
    client::Client,
    config::{Config, Shared},
    error::{Error, Kind},
    future::{Begun, PollFuture},
    job::{Job, Submitted},
    pending_job::PendingJob,
    policy::{poll_policy::PollPolicy, standard::StandardPolicy},
    request::{Caller, Submission, add_key, prefer},
};

/// A client that follows pending answers, made by
/// [`PollLayer`](crate::PollLayer).
///
/// It is ready when the service beneath is, and uses that readiness for the
/// submission. Polls go through clones that become ready on their own.
///
/// `Client<B, R>` in its bounds is any cloneable [`Service`] from `Request<B>`
/// to `Response<R>` with an error that converts to a [`BoxError`].
///
/// ```
/// use tower::{Layer, Service, ServiceExt};
/// use tower_poll::{PollLayer, PollService};
/// # use http::{Request, Response};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_poll::Error> {
/// # let client = tower::service_fn(async |_: Request<String>| {
/// #     Ok::<_, tower::BoxError>(Response::new(String::new()))
/// # });
///
/// let mut service: PollService<_> = PollLayer::new().layer(client);
/// let request = Request::post("https://example.com/report").body(String::new()).unwrap();
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
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service beneath.
    pub fn get_mut(&mut self) -> &mut S {
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

impl<S, P> PollService<S, P> {
    /// Sends a request, without waiting for a job.
    ///
    /// Waits until the service beneath is ready and has answered the
    /// submission. Dropping the future earlier drops the submission.
    ///
    /// # Errors
    ///
    /// Fails as a call does up to its first pending answer.
    ///
    /// ```
    /// use tower::Layer;
    /// use tower_poll::{PollLayer, Submitted};
    /// # use http::{Request, Response};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = tower::service_fn(async |_: Request<String>| {
    /// #     Ok::<_, tower::BoxError>(Response::new(String::new()))
    /// # });
    ///
    /// let mut service = PollLayer::new().layer(client);
    /// let request = Request::post("https://example.com/report").body(String::new())?;
    /// match service.submit(request).await? {
    ///     Submitted::Final(response) => println!("{}", response.status()),
    ///     Submitted::Pending(job) => println!("{}", serde_json::to_string(&job.pending())?),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn submit<B, R>(
        &mut self,
        request: Request<B>,
    ) -> Result<Submitted<S, B, R, P>, Error>
    where
        S: Client<B, R>,
        B: Default,
        R: Body,
        P: PollPolicy + Clone,
    {
        let ready = poll_fn(|cx| self.inner.poll_ready(cx)).await;
        ready.map_err(|error| Error::new(Kind::Service).with_source(error))?;
        let mut future = pin!(self.call(request));
        match poll_fn(|cx| future.as_mut().poll_begun(cx)).await? {
            Begun::Final(response) => Ok(Submitted::Final(response)),
            Begun::Polling(polling) => Job::begin(polling).await,
        }
    }

    /// Resumes a job that was accepted earlier, maybe by another process.
    ///
    /// `headers` are those of the submission: its polls carry
    /// [some](crate::PollLayer) of them, and credentials go to the origin of
    /// the submission only. The deadline and the limit of polls restart.
    ///
    /// The stored job contains that origin. If others can write to the
    /// storage, [set](PendingJob::with_origin) the origin before adding
    /// credentials.
    ///
    /// # Errors
    ///
    /// Fails if the policy refuses to poll the job's URL, and if this layer
    /// lacks the job's [`Dialect`](crate::dialect::Dialect).
    ///
    /// ```
    /// use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
    /// use tower::Layer;
    /// use tower_poll::{PendingJob, PollLayer};
    /// # use http::{Request, Response};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = tower::service_fn(async |_: Request<String>| {
    /// #     Ok::<_, tower::BoxError>(Response::new(String::new()))
    /// # });
    ///
    /// let stored = r#"{"version":1,"url":"https://example.com/work/7","origin":"https://example.com/"}"#;
    /// let job: PendingJob = serde_json::from_str(stored)?;
    /// let mut headers = HeaderMap::new();
    /// headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer secret"));
    ///
    /// let service = PollLayer::new().layer(client);
    /// let response = service.resume(&job, &headers)?.wait().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn resume<B, R>(
        &self,
        job: &PendingJob,
        headers: &HeaderMap,
    ) -> Result<Job<S, B, R, P>, Error>
    where
        S: Client<B, R>,
        B: Default,
        R: Body,
        P: PollPolicy + Clone,
    {
        Job::resume(self.inner.clone(), Arc::clone(&self.shared), job, headers)
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
        Poll::Ready(
            ready!(self.inner.poll_ready(cx))
                .map_err(|error| Error::new(Kind::Service).with_source(error)),
        )
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let clone = self.inner.clone();
        let mut service = mem::replace(&mut self.inner, clone);
        let shared = Arc::clone(&self.shared);
        let caller = if shared.adds_headers || !request.extensions().is_empty() {
            prepare(&mut request, &shared.config)
        } else {
            None
        };
        PollFuture::new(
            Submission::keep(&request, &shared.config),
            caller,
            service.call(request),
            service,
            shared,
        )
    }
}

/// Adds the headers of the layer to a submission, and takes the wishes of its
/// caller out of it.
#[cold]
fn prepare<B>(request: &mut Request<B>, config: &Config) -> Option<Box<Caller>> {
    prefer(request, config);
    if config.idempotency_keys {
        add_key(request);
    }
    Caller::take(request.extensions_mut())
}

//! A [`PollLayer`] as a middleware of
//! [reqwest-middleware](::reqwest_middleware).
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use reqwest_middleware::ClientBuilder;
//! use tower_poll::{PollLayer, reqwest_middleware::PollMiddleware};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let client = reqwest::Client::builder()
//!     .redirect(reqwest::redirect::Policy::none())
//!     .build()?;
//! let client = ClientBuilder::new(client)
//!     .with(PollMiddleware::new(PollLayer::new().deadline(Duration::from_secs(600))))
//!     .build();
//!
//! match client.post("https://example.com/report").body("year=2031").send().await {
//!     Ok(response) => println!("{}", response.text().await?),
//!     Err(reqwest_middleware::Error::Middleware(error)) => {
//!         let polling = error.downcast_ref::<tower_poll::Error>();
//!         if let Some(job) = polling.and_then(|error| error.pending_job()) {
//!             println!("still pending after {} polls", job.polls());
//!         }
//!     }
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Order
//!
//! Middleware that was added earlier sees one call, which may take an hour.
//! Middleware that was added later, such as authentication and retries,
//! applies to each request, polls included.
//!
//! # Caveats
//!
//! - The client must be built with
//!   [`redirect::Policy::none`](reqwest::redirect::Policy::none), since
//!   reqwest follows redirects by itself otherwise. That cannot be seen from
//!   outside, so the URL of every answer is compared to that of its request:
//!   see [`RedirectedError`] and [`PollMiddleware::redirect_check`].
//! - A timeout of the request
//!   ([`RequestBuilder::timeout`](::reqwest_middleware::RequestBuilder::timeout))
//!   applies to each inner request. The time of the whole call is limited by
//!   [`PollLayer::deadline`].
//! - Dropping the call stops polling, as it does with the layer.

use std::{
    error, fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use ::reqwest::{Body, Request, Response};
use ::reqwest_middleware::{Error, Middleware, Next, Result};
use async_trait::async_trait;
use http::Extensions;
use tokio::sync::Mutex;
use tower::{Service, ServiceExt};

use super::reqwest::{REDIRECTED, into_http, is_same};
use crate::{
    config::Shared,
    layer::PollLayer,
    policy::{poll_policy::PollPolicy, standard::StandardPolicy},
    service::PollService,
};

/// Makes a client follow pending answers until the final one is there.
///
/// It does the work of its [`PollLayer`] with the rest of the stack as the
/// client. The extensions of a call ([`RequestBuilder::with_extension`]) are
/// those of each inner request, and values such as
/// [`PreferAsync`](crate::PreferAsync) count.
///
/// # Errors
///
/// An error of the submission comes through as it is. A later one is an
/// [`Error::Middleware`] around an [`Error`](crate::Error), which
/// `downcast_ref` finds, as does the [`source`](error::Error::source) chain.
///
/// [`RequestBuilder::with_extension`]: ::reqwest_middleware::RequestBuilder::with_extension
///
/// ```
/// use reqwest_middleware::ClientBuilder;
/// use tower_poll::{PollLayer, PreferAsync, reqwest_middleware::PollMiddleware};
///
/// let client = reqwest::Client::builder()
///     .redirect(reqwest::redirect::Policy::none())
///     .build()
///     .unwrap();
/// let client = ClientBuilder::new(client)
///     .with(PollMiddleware::new(PollLayer::new()))
///     .build();
/// let request = client.post("https://example.com/report").with_extension(PreferAsync);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct PollMiddleware<P = StandardPolicy> {
    shared: Arc<Shared<P>>,
    is_checked: bool,
}

impl<P> PollMiddleware<P> {
    /// Creates a middleware with the settings of `layer`.
    pub fn new(layer: PollLayer<P>) -> Self {
        Self {
            shared: Arc::new(layer.into_shared()),
            is_checked: true,
        }
    }

    /// Turns the check of answers' URLs on or off. On by default: an answer
    /// from another URL than that of the request is a [`RedirectedError`].
    ///
    /// Off is for stacks where a middleware beneath changes URLs, such as one
    /// that adds a key to the query. The client must then be known not to
    /// follow redirects.
    pub fn redirect_check(self, is_checked: bool) -> Self {
        Self { is_checked, ..self }
    }
}

#[async_trait]
impl<P> Middleware for PollMiddleware<P>
where
    P: PollPolicy + Clone + Send + Sync + 'static,
{
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let timeout = request.timeout().copied();
        let mut request = http::Request::<Body>::try_from(request)?;
        *request.extensions_mut() = extensions.clone();
        let client = NextService {
            next,
            extensions: &Mutex::new(extensions),
            timeout,
            is_checked: self.is_checked,
        };
        let service = PollService::new(client, Arc::clone(&self.shared));
        match service.oneshot(request).await {
            Ok(response) => Ok(response.into()),
            Err(error) => Err(into_middleware(error)),
        }
    }
}

type NextFuture<'a> = Pin<Box<dyn Future<Output = Result<http::Response<Body>>> + Send + 'a>>;

/// The rest of a client's middleware and the client itself.
#[derive(Clone)]
struct NextService<'a, 'e> {
    next: Next<'a>,
    /// The extensions of the caller, lent to one request at a time.
    extensions: &'a Mutex<&'e mut Extensions>,
    timeout: Option<Duration>,
    is_checked: bool,
}

impl<'a> Service<http::Request<Body>> for NextService<'a, '_> {
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = NextFuture<'a>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let Self {
            next,
            extensions,
            timeout,
            is_checked,
        } = self.clone();
        Box::pin(async move {
            let mut extensions = extensions.lock().await;
            // A poll has those that the policy added.
            extensions.extend(mem::take(request.extensions_mut()));
            let mut request = Request::try_from(request)?;
            *request.timeout_mut() = timeout;
            let asked = request.url().clone();
            match next.run(request, &mut extensions).await {
                Ok(response) if is_checked && !is_same(&asked, response.url()) => {
                    Err(Error::middleware(RedirectedError(())))
                }
                Ok(response) => Ok(into_http(response)),
                Err(error) if error.is_redirect() => Err(Error::middleware(RedirectedError(()))),
                Err(error) => Err(error),
            }
        })
    }
}

/// Converts the error of the submission to what it was, and every other to one
/// with a source.
fn into_middleware(error: crate::error::Error) -> Error {
    if error.is_inner() && error.pending_job().is_none() {
        let inner = error.into_inner().and_then(|inner| inner.downcast().ok());
        return *inner.expect("the errors of `NextService` are of this type");
    }
    // The context keeps the error as a source, and `downcast_ref` finds it.
    Error::Middleware(anyhow::Error::new(error).context("polling failed"))
}

/// The client followed a redirect by itself, or a middleware changed the URL
/// of a request.
///
/// The answer is dropped, since it may be any answer but the one of the job.
/// The client must be built with
/// [`redirect::Policy::none`](reqwest::redirect::Policy::none).
///
/// ```
/// use tower_poll::reqwest_middleware::RedirectedError;
///
/// fn is_misconfigured(error: &reqwest_middleware::Error) -> bool {
///     match error {
///         reqwest_middleware::Error::Middleware(error) => error.is::<RedirectedError>(),
///         reqwest_middleware::Error::Reqwest(_) => false,
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RedirectedError(());

impl fmt::Display for RedirectedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDIRECTED)
    }
}

impl error::Error for RedirectedError {}

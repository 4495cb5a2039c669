//! [reqwest] as the client beneath a [`PollLayer`](crate::PollLayer).
//!
//! reqwest's own client is a service of its own request type and follows
//! redirects by itself, up to ten of them and without waiting, which is over
//! before a job is. [`ReqwestService`] takes and gives `http` types, and sees
//! to it that redirects come through.
//!
//! ```no_run
//! use tower::{Layer, Service, ServiceExt};
//! use tower_poll::{PollLayer, reqwest::ReqwestService};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let client = ReqwestService::build(reqwest::Client::builder().user_agent("reports/1"))?;
//! let mut service = PollLayer::new().layer(client);
//!
//! let request = http::Request::post("https://example.com/report").body("year=2031".into())?;
//! let response: http::Response<reqwest::Body> = service.ready().await?.call(request).await?;
//! let response = reqwest::Response::from(response);
//! println!("{}", response.text().await?);
//! # Ok(())
//! # }
//! ```

use std::{
    error, fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use ::reqwest::{Body, Client, ClientBuilder, ResponseBuilderExt, Url, redirect};
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::Service;

/// The error of a client that follows redirects.
pub(crate) const REDIRECTED: &str = "the reqwest client followed a redirect by itself: \
                                     it must be built with `redirect::Policy::none()`";

type ClientFuture = <Client as Service<::reqwest::Request>>::Future;

/// A reqwest client as a service of [`http::Request`].
///
/// The request's URI must be absolute.
///
/// ```
/// use tower_poll::reqwest::ReqwestService;
///
/// let service = ReqwestService::build(reqwest::Client::builder()).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct ReqwestService {
    client: Client,
    /// The client may follow redirects, so that each answer is checked.
    may_redirect: bool,
}

impl ReqwestService {
    /// Builds the client, with redirects switched off.
    ///
    /// # Errors
    ///
    /// Fails as [`ClientBuilder::build`] does.
    pub fn build(builder: ClientBuilder) -> Result<Self, ::reqwest::Error> {
        Ok(Self {
            client: builder.redirect(redirect::Policy::none()).build()?,
            may_redirect: false,
        })
    }

    /// Wraps a finished client, which should have been built with
    /// [`redirect::Policy::none`]. That cannot be seen from outside, so every
    /// answer is checked: one that a redirect led to is an error, since it may
    /// be any answer but the one of the job.
    ///
    /// ```
    /// use tower_poll::reqwest::ReqwestService;
    ///
    /// let client = reqwest::Client::builder()
    ///     .redirect(reqwest::redirect::Policy::none())
    ///     .build()
    ///     .unwrap();
    /// let service = ReqwestService::around(client);
    /// ```
    #[must_use]
    pub fn around(client: Client) -> Self {
        Self {
            client,
            may_redirect: true,
        }
    }

    /// The client.
    #[must_use]
    pub fn get_ref(&self) -> &Client {
        &self.client
    }

    /// The client. Since it can be replaced by one that follows redirects,
    /// every answer is checked from then on, as with
    /// [`around`](Self::around).
    pub fn get_mut(&mut self) -> &mut Client {
        self.may_redirect = true;
        &mut self.client
    }

    /// The client.
    #[must_use]
    pub fn into_inner(self) -> Client {
        self.client
    }
}

impl Service<Request<Body>> for ReqwestService {
    type Response = Response<Body>;
    type Error = ReqwestError;
    type Future = ReqwestFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ReqwestError>> {
        self.client.poll_ready(cx).map_err(ReqwestError::from)
    }

    fn call(&mut self, request: Request<Body>) -> ReqwestFuture {
        let state = match ::reqwest::Request::try_from(request) {
            Ok(request) => State::Sent {
                asked: self.may_redirect.then(|| request.url().clone()),
                future: self.client.call(request),
            },
            Err(error) => State::Failed {
                error: Some(error.into()),
            },
        };
        ReqwestFuture { state }
    }
}

pin_project! {
    /// The future of a [`ReqwestService`].
    ///
    /// ```
    /// use tower::Service;
    /// use tower_poll::reqwest::{ReqwestFuture, ReqwestService};
    ///
    /// let mut service = ReqwestService::around(reqwest::Client::new());
    /// let future: ReqwestFuture = service.call(http::Request::default());
    /// ```
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ReqwestFuture {
        #[pin]
        state: State,
    }
}

pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State {
        Sent {
            #[pin]
            future: ClientFuture,
            asked: Option<Url>,
        },
        Failed {
            error: Option<ReqwestError>,
        },
    }
}

impl Future for ReqwestFuture {
    type Output = Result<Response<Body>, ReqwestError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Sent { future, asked } => {
                let answer = ready!(future.poll(cx));
                let is_redirected = match (&answer, asked) {
                    (Ok(response), Some(asked)) => !is_same(asked, response.url()),
                    (Ok(_), None) => false,
                    // Too many of them, for one.
                    (Err(error), _) => error.is_redirect(),
                };
                if is_redirected {
                    return Poll::Ready(Err(ReqwestError(Kind::Redirected)));
                }
                Poll::Ready(Ok(into_http(answer?)))
            }
            StateProj::Failed { error } => {
                let error = error
                    .take()
                    .expect("`ReqwestFuture` polled after completion");
                Poll::Ready(Err(error))
            }
        }
    }
}

/// Returns whether both are the same request target. A fragment is not sent,
/// and reqwest moves user information to a header.
pub(crate) fn is_same(asked: &Url, answered: &Url) -> bool {
    asked.origin() == answered.origin()
        && asked.path() == answered.path()
        && asked.query() == answered.query()
}

/// Converts `response` such that it can be converted back without losing its
/// URL.
pub(crate) fn into_http(response: ::reqwest::Response) -> Response<Body> {
    let url = response.url().clone();
    let mut response = Response::from(response);
    if let Ok(with_url) = Response::builder().url(url).body(()) {
        let (parts, ()) = with_url.into_parts();
        response.extensions_mut().extend(parts.extensions);
    }
    response
}

/// The error of a [`ReqwestService`].
///
/// ```
/// use tower_poll::reqwest::ReqwestError;
///
/// fn is_timeout(error: &ReqwestError) -> bool {
///     error.as_reqwest().is_some_and(reqwest::Error::is_timeout)
/// }
/// ```
#[derive(Debug)]
pub struct ReqwestError(Kind);

#[derive(Debug)]
enum Kind {
    Client(::reqwest::Error),
    Redirected,
}

impl ReqwestError {
    /// Returns whether the client followed a redirect by itself. It must be
    /// built with [`redirect::Policy::none`].
    #[must_use]
    pub fn is_redirected(&self) -> bool {
        matches!(self.0, Kind::Redirected)
    }

    /// The client's own error, if it is one.
    #[must_use]
    pub fn as_reqwest(&self) -> Option<&::reqwest::Error> {
        match &self.0 {
            Kind::Client(error) => Some(error),
            Kind::Redirected => None,
        }
    }
}

impl From<::reqwest::Error> for ReqwestError {
    fn from(error: ::reqwest::Error) -> Self {
        Self(Kind::Client(error))
    }
}

impl fmt::Display for ReqwestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Client(_) => "the reqwest client failed",
            Kind::Redirected => REDIRECTED,
        })
    }
}

impl error::Error for ReqwestError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.0 {
            Kind::Client(error) => Some(error),
            Kind::Redirected => None,
        }
    }
}

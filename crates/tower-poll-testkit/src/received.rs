//! The record of requests.

use std::{fmt, time::Duration};

use http::{Extensions, HeaderMap, Method, Uri, Version, request::Parts};

/// A request that a [`ScriptedServer`](crate::ScriptedServer) received, with
/// its time. Its body is dropped unread.
///
/// `Display` writes it as `GET /work/1?poll=2`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// use std::time::Duration;
/// use http::Request;
/// use tower::ServiceExt;
/// use tower_poll_testkit::{Answer, Script};
///
/// let slow = Answer::ok("").after(Duration::from_secs(3));
/// let server = Script::new().answer(slow).server();
/// let request = Request::get("http://server.test/work/1?poll=2").body(()).unwrap();
/// server.clone().oneshot(request).await.unwrap();
/// let received = &server.requests()[0];
/// assert_eq!(received.to_string(), "GET /work/1?poll=2");
/// assert_eq!(received.uri, "http://server.test/work/1?poll=2");
/// assert_eq!(received.answered, Some(received.at + Duration::from_secs(3)));
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceivedRequest {
    /// The method of the request.
    pub method: Method,
    /// The URI of the request, as the client gave it to the service.
    pub uri: Uri,
    /// The version of HTTP.
    pub version: Version,
    /// The headers of the request.
    pub headers: HeaderMap,
    /// The extensions of the request.
    pub extensions: Extensions,
    /// The time from the creation of the server to the request, on tokio's clock.
    pub at: Duration,
    /// The same for the answer. `None` if it was not sent: it is still delayed
    /// or held, or the client dropped the request.
    pub answered: Option<Duration>,
    /// The delay that the answer asked for.
    pub(crate) retry_after: Option<Duration>,
    /// The answer is a response, and no failure.
    pub(crate) has_response: bool,
}

impl ReceivedRequest {
    pub(crate) fn new(parts: Parts, at: Duration) -> Self {
        Self {
            method: parts.method,
            uri: parts.uri,
            version: parts.version,
            headers: parts.headers,
            extensions: parts.extensions,
            at,
            answered: None,
            retry_after: None,
            has_response: false,
        }
    }

    /// Returns path and query of the request.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # use tower::ServiceExt;
    /// let server = tower_poll_testkit::Script::new().response(200, "").server();
    /// server.clone().oneshot(http::Request::get("/work/1?poll=2").body(()).unwrap()).await.unwrap();
    /// assert_eq!(server.requests()[0].target(), "/work/1?poll=2");
    /// # }
    /// ```
    #[must_use]
    pub fn target(&self) -> &str {
        target(&self.uri)
    }

    /// Returns the time from which a delay before the next request counts: that
    /// of the answer, or of the request if it was given up unanswered.
    pub(crate) fn end(&self) -> Duration {
        self.answered.unwrap_or(self.at)
    }
}

impl fmt::Display for ReceivedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target())
    }
}

fn target(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |target| target.as_str())
}

//! The server that follows a script.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use http::{Request, Response};
use tokio::time::Instant;
use tower_service::Service;

use crate::{
    answer::Answer,
    body::ScriptBody,
    failure::{BoxError, ScriptError},
    plan::Plan,
    received::ReceivedRequest,
};

/// A server that answers by a [`Script`](crate::Script), and records the
/// requests that it receives. Clones are the same server.
///
/// It is a service of requests with any body, which it drops unread. A request
/// that differs from the script gets a [`ScriptError`], as do all later ones.
/// Each `assert_` method panics at its caller's place, with the requests in
/// its message.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// use std::time::Duration;
/// use http::Request;
/// use tower::{Layer, ServiceExt};
/// use tower_poll::PollLayer;
/// use tower_poll_testkit::Script;
///
/// let server = Script::new()
///     .pending("/work/1", Duration::from_secs(3))
///     .response(200, "the report")
///     .server();
/// let client = PollLayer::new().layer(server.clone());
/// let request = Request::post("http://server.test/report").body(String::new()).unwrap();
/// client.oneshot(request).await.unwrap();
/// server.assert_finished();
/// server.assert_requests(["POST /report", "GET /work/1"]);
/// server.assert_retry_after_kept();
/// # }
/// ```
///
/// # Panics
///
/// Panics if it is called without having been polled ready since the last call.
#[derive(Debug)]
pub struct ScriptedServer {
    shared: Arc<Shared>,
    is_ready: bool,
}

#[derive(Debug)]
struct Shared {
    plan: Plan,
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<ReceivedRequest>,
    /// The first difference from the script.
    difference: Option<String>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a request. Returns its number and its answer.
    fn receive(&self, request: ReceivedRequest) -> (usize, Result<Answer, ScriptError>) {
        let mut state = self.state();
        let number = state.requests.len();
        if state.difference.is_none() {
            match self.plan.answer(number, &request) {
                Ok(answer) => {
                    state.requests.push(request);
                    return (number, Ok(answer));
                }
                Err(difference) => state.difference = Some(difference),
            }
        }
        state.requests.push(request);
        let difference = state.difference.clone().unwrap_or_default();
        (number, Err(ScriptError(difference)))
    }

    /// Records that request `number` is answered now.
    fn record(&self, number: usize, answer: &Answer) {
        let headers = answer.headers();
        let request = &mut self.state().requests[number];
        request.answered = Some(self.start.elapsed());
        request.has_response = headers.is_some();
        request.retry_after =
            headers.and_then(|headers| http_polling::retry_after(headers, SystemTime::now()));
    }
}

impl ScriptedServer {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            shared: Arc::new(Shared {
                plan,
                start: Instant::now(),
                state: Mutex::default(),
            }),
            is_ready: false,
        }
    }

    /// Returns the requests so far, in order.
    ///
    /// ```
    /// let server = tower_poll_testkit::Script::new().server();
    /// assert!(server.requests().is_empty());
    /// ```
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.shared.state().requests.clone()
    }

    /// Returns the number of polls: requests by GET or HEAD after the first
    /// response. Failures of the connection are no responses.
    ///
    /// ```
    /// let server = tower_poll_testkit::Script::new().server();
    /// assert_eq!(server.polls(), 0);
    /// ```
    #[must_use]
    pub fn polls(&self) -> usize {
        let state = self.shared.state();
        let mut requests = state.requests.iter();
        requests.find(|request| request.has_response);
        requests
            .filter(|request| matches!(request.method.as_str(), "GET" | "HEAD"))
            .count()
    }

    /// Returns the delays of the client: for each request after the first, the
    /// time since the answer to the one before it, or since that request if it
    /// was given up unanswered.
    ///
    /// ```
    /// let server = tower_poll_testkit::Script::new().server();
    /// assert!(server.delays().is_empty());
    /// ```
    #[must_use]
    pub fn delays(&self) -> Vec<Duration> {
        let state = self.shared.state();
        let pairs = state.requests.windows(2);
        pairs
            .map(|pair| pair[1].at.saturating_sub(pair[0].end()))
            .collect()
    }

    /// Returns how the requests differ from the script, if they do.
    pub(crate) fn difference(&self) -> Option<String> {
        let state = self.shared.state();
        let left = || self.shared.plan.left_after(state.requests.len());
        state.difference.clone().or_else(left)
    }
}

impl Clone for ScriptedServer {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            is_ready: false,
        }
    }
}

impl<B> Service<Request<B>> for ScriptedServer {
    type Response = Response<ScriptBody>;
    type Error = BoxError;
    type Future = ScriptFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ScriptFuture {
        assert!(
            self.is_ready,
            "the server was called without having been polled ready"
        );
        self.is_ready = false;
        let shared = Arc::clone(&self.shared);
        let request = ReceivedRequest::new(request.into_parts().0, shared.start.elapsed());
        let (number, answer) = shared.receive(request);
        ScriptFuture(Box::pin(async move {
            let answer = answer?;
            answer.wait().await;
            shared.record(number, &answer);
            answer.into_result()
        }))
    }
}

/// The future of a [`ScriptedServer`]: its answer, when it is time for it.
///
/// ```
/// use http::Request;
/// use tower::Service;
/// use tower_poll_testkit::{Script, ScriptFuture};
///
/// let mut server = Script::new().response(200, "").server();
/// # let waker = std::task::Waker::noop();
/// # let _ = Service::<Request<()>>::poll_ready(&mut server, &mut std::task::Context::from_waker(waker));
/// let future: ScriptFuture = server.call(Request::new(()));
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct ScriptFuture(
    Pin<Box<dyn Future<Output = Result<Response<ScriptBody>, BoxError>> + Send>>,
);

impl Future for ScriptFuture {
    type Output = Result<Response<ScriptBody>, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for ScriptFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptFuture").finish_non_exhaustive()
    }
}

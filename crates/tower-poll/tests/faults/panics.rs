//! Functions of the user's that panic.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderValue, Method, Request, Response, Uri, request};
use tokio::time::{sleep, timeout};
use tower::{
    BoxError, Layer, Service, ServiceExt,
    limit::{ConcurrencyLimit, concurrency::future::ResponseFuture},
};
use tower_poll::{
    Hop, PollLayer, PollPolicy, Refusal, StopSignal,
    dialect::{Answer as Said, Dialect, DialectError, Step},
};

use crate::common::{Script, TestBody, answer, answer_with, post, text};

const URL: &str = "https://example.com/report";
const SECOND: Duration = Duration::from_secs(1);

/// Functions of the user's that a call comes to, by the names that [`Bomb`]
/// knows.
const FUNCTIONS: [&str; 14] = [
    "prefer_async",
    "policy.clone",
    "policy.next",
    "policy.prepare_poll",
    "policy.prepares_polls",
    "dialect.recognises",
    "dialect.read",
    "dialect.read with body",
    "dialect.polls_documents",
    "observer",
    "refresh",
    "refresh.await",
    "service.clone",
    "service.call",
];

/// Has functions panic, each at one of its calls.
#[derive(Clone, Debug, Default)]
struct Bomb(Arc<Mutex<Charges>>);

#[derive(Debug, Default)]
struct Charges {
    /// The function that panics, and how many calls are good before.
    first: Option<(&'static str, usize)>,
    /// The function whose next call panics once the first one has.
    second: Option<&'static str>,
}

impl Bomb {
    fn arm(&self, name: &'static str, at: usize) {
        self.0.lock().unwrap().first = Some((name, at));
    }

    fn arm_second(&self, name: &'static str) {
        self.0.lock().unwrap().second = Some(name);
    }

    /// Returns whether the first armed panic has happened. Disarms the rest.
    fn disarm(&self) -> bool {
        std::mem::take(&mut *self.0.lock().unwrap()).first.is_none()
    }

    fn call(&self, name: &str) {
        let mut charges = self.0.lock().unwrap();
        let explodes = match charges.first {
            Some((first, 0)) if first == name => {
                charges.first = None;
                true
            }
            Some((first, at)) if first == name => {
                charges.first = Some((first, at - 1));
                false
            }
            None if charges.second == Some(name) => {
                charges.second = None;
                true
            }
            _ => false,
        };
        drop(charges);
        assert!(!explodes, "{name} panics");
    }
}

#[derive(Debug)]
struct Policy(Bomb);

impl Clone for Policy {
    fn clone(&self) -> Self {
        self.0.call("policy.clone");
        Self(self.0.clone())
    }
}

impl PollPolicy for Policy {
    fn next(&mut self, _: &Hop<'_>) -> Result<Duration, Refusal> {
        self.0.call("policy.next");
        Ok(SECOND)
    }

    fn prepare_poll(&mut self, parts: &mut request::Parts, hop: &Hop<'_>) {
        self.0.call("policy.prepare_poll");
        parts.headers.insert("x-poll", hop.poll().into());
    }

    fn prepares_polls(&self) -> bool {
        self.0.call("policy.prepares_polls");
        true
    }
}

/// `done` in a document is the end.
#[derive(Debug)]
struct Documents(Bomb);

impl Dialect for Documents {
    fn name(&self) -> &'static str {
        self.0.call("dialect.name");
        "documents"
    }

    fn recognises(&self, _: &Said<'_>) -> bool {
        self.0.call("dialect.recognises");
        true
    }

    fn read(&self, answer: &Said<'_>) -> Result<Step, DialectError> {
        self.0.call("dialect.read");
        match answer.body() {
            _ if answer.is_to_submission() => {
                Ok(Step::Pending(answer.pending(answer.resolve("/work/1")?)))
            }
            None => Ok(Step::NeedsBody),
            Some(body) => {
                self.0.call("dialect.read with body");
                Ok(match body {
                    b"done" => Step::Fetch(answer.resolve("/result")?),
                    _ => Step::Pending(answer.pending(answer.asked().clone())),
                })
            }
        }
    }

    fn polls_documents(&self) -> bool {
        self.0.call("dialect.polls_documents");
        false
    }

    fn cancellation(&self, url: &Uri) -> Option<Uri> {
        self.0.call("dialect.cancellation");
        Some(url.clone())
    }
}

type Places = ConcurrencyLimit<Script>;

/// A client with one place.
#[derive(Debug)]
struct Client(Places, Bomb);

impl Clone for Client {
    fn clone(&self) -> Self {
        self.1.call("service.clone");
        Self(self.0.clone(), self.1.clone())
    }
}

impl Service<Request<TestBody>> for Client {
    type Response = Response<TestBody>;
    type Error = BoxError;
    type Future = ResponseFuture<<Script as Service<Request<TestBody>>>::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<TestBody>) -> Self::Future {
        self.1.call("service.call");
        self.0.call(request)
    }
}

/// Has all of [`FUNCTIONS`] called: its polls are answered with 401, with a
/// document that says pending, with one that says done, and with the result.
fn server() -> Script {
    Script::new(|_, request| {
        let poll = request.headers().get("x-poll").map(HeaderValue::as_bytes);
        match (request.method(), poll) {
            (&Method::POST, _) => answer(202, &[]),
            (&Method::DELETE, _) => answer(204, &[]),
            (_, Some(b"1")) => answer(401, &[]),
            (_, Some(b"2")) => answer_with(200, &[], "running"),
            (_, Some(b"3")) => answer_with(200, &[], "done"),
            _ => answer_with(200, &[], "the result"),
        }
    })
}

fn layer(bomb: &Bomb) -> PollLayer<Policy> {
    let bombs = || bomb.clone();
    let (asks, observes, refreshes) = (bombs(), bombs(), bombs());
    PollLayer::with_policy(Policy(bombs()))
        .prefer_async(move |_| {
            asks.call("prefer_async");
            true
        })
        .dialect(Documents(bombs()))
        .observe(move |_| observes.call("observer"))
        .refresh(move |_| {
            refreshes.call("refresh");
            let awaited = refreshes.clone();
            async move {
                awaited.call("refresh.await");
                Ok(HeaderValue::from_static("Bearer new"))
            }
        })
}

/// Sends a request in a task of its own. `None` if that panics.
async fn call<S>(service: S) -> Option<String>
where
    S: Service<Request<TestBody>, Response = Response<TestBody>> + Send + 'static,
    S::Future: Send,
    S::Error: std::fmt::Debug + Send,
{
    let call = tokio::spawn(service.oneshot(post(URL)));
    let answer = timeout(100 * SECOND, call).await;
    match answer.expect("a place for the call") {
        Ok(response) => Some(text(response.unwrap()).await),
        Err(error) => {
            assert!(error.is_panic());
            None
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s65_function_that_panics_ends_its_call_and_no_other() {
    for name in FUNCTIONS {
        for at in 0..20 {
            let bomb = Bomb::default();
            let client = Client(ConcurrencyLimit::new(server(), 1), bomb.clone());
            let service = layer(&bomb).layer(client);
            let first = service.clone();
            bomb.arm(name, at);
            let result = call(first).await;
            assert_eq!(result.is_none(), bomb.disarm(), "{name} {at}");
            assert_eq!(
                call(service).await.as_deref(),
                Some("the result"),
                "{name} {at}"
            );
            if result.is_some() {
                assert!(at > 0, "{name} is never called");
                break;
            }
        }
    }
}

/// The future is dropped while the panic unwinds. Another one then would
/// abort the process.
#[tokio::test(start_paused = true)]
async fn s65_functions_that_cancel_a_dropped_call_may_panic_while_another_panic_unwinds() {
    for name in FUNCTIONS {
        for cancelling in ["", "dialect.cancellation", "service.clone", "service.call"] {
            for at in 0..20 {
                let bomb = Bomb::default();
                let client = Client(ConcurrencyLimit::new(server(), 1), bomb.clone());
                let service = layer(&bomb).cancel_on_drop().layer(client);
                let first = service.clone();
                bomb.arm(name, at);
                // Its next call, whichever that is, once the first has panicked.
                bomb.arm_second(cancelling);
                let result = call(first).await;
                sleep(SECOND).await;
                bomb.disarm();
                let again = call(service).await;
                assert_eq!(
                    again.as_deref(),
                    Some("the result"),
                    "{name} {cancelling} {at}"
                );
                if result.is_some() {
                    break;
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s65_call_that_panicked_is_cancelled_if_that_is_asked_for() {
    let bomb = Bomb::default();
    let server = server();
    let client = Client(ConcurrencyLimit::new(server.clone(), 1), bomb.clone());
    let service = layer(&bomb).cancel_on_drop().layer(client);
    bomb.arm("observer", 1);
    assert_eq!(call(service).await, None);
    sleep(SECOND).await;
    assert_eq!(server.seen().pop().unwrap().method, Method::DELETE);
}

#[tokio::test(start_paused = true)]
async fn s65_dropping_a_call_calls_no_function() {
    for name in ["dialect.cancellation", "service.clone", "service.call"] {
        let bomb = Bomb::default();
        let client = Client(ConcurrencyLimit::new(server(), 1), bomb.clone());
        let service = layer(&bomb).cancel_on_drop().layer(client);
        let mut call = Box::pin(service.clone().oneshot(post(URL)));
        assert!(timeout(SECOND / 2, &mut call).await.is_err());
        bomb.arm(name, 0);
        drop(call);
        assert!(!bomb.disarm(), "{name}");
        assert_eq!(self::call(service).await.as_deref(), Some("the result"));
    }
}

#[tokio::test(start_paused = true)]
async fn s65_name_of_a_dialect_may_panic() {
    let bomb = Bomb::default();
    let client = Client(ConcurrencyLimit::new(server(), 1), bomb.clone());
    let service = layer(&bomb).max_polls(1).layer(client);
    bomb.arm("dialect.name", 0);
    assert_eq!(call(service.clone()).await, None);
    let error = service.oneshot(post(URL)).await.unwrap_err();
    assert!(error.is_too_many_polls() && error.pending_job().is_some());
}

#[tokio::test(start_paused = true)]
async fn s65_panic_of_a_stop_signal_reaches_the_calls_of_its_clones_and_no_other() {
    let signal = StopSignal::stop_waiting(async { panic!("a function of the user's") });
    let service = layer(&Bomb::default()).layer(server());
    for _ in 0..2 {
        let mut request = post(URL);
        request.extensions_mut().insert(signal.clone());
        let call = tokio::spawn(service.clone().oneshot(request));
        assert!(call.await.unwrap_err().is_panic());
    }
    assert_eq!(call(service).await.as_deref(), Some("the result"));
}

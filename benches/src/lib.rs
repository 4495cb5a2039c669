//! The measured cases. Each is defined once, for all kinds of measurements: Criterion for time, callgrind
//! for instructions, and a counting allocator for allocations and bytes.

use std::{
    fmt::Debug,
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use tokio::runtime::{Builder, Runtime};
use tower::Service;

mod calls;
pub mod client;
pub mod connection;
pub mod growth;
pub mod memory;
pub mod peer;
pub mod process;
pub mod server;

/// The body of all requests and responses.
pub type Body = Full<Bytes>;

/// An operation that is repeated to measure the cost of one iteration.
pub trait Case {
    /// Runs the operation `iterations` times.
    fn run(&mut self, iterations: u64);

    /// Removes the state that earlier runs left behind. Not measured.
    fn reset(&mut self) {}
}

/// A case by name. Its setup is not measured.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The name: `client`, `server` or `connection`, the operation, and its subject.
    pub name: &'static str,
    /// Sets the case up.
    pub make: fn() -> Box<dyn Case>,
}

/// All cases, in the order in which their costs are printed.
#[must_use]
pub fn entries() -> Vec<Entry> {
    [client::entries(), server::entries(), connection::entries()].concat()
}

/// Calls a service that answers without waiting, after waiting for its readiness.
///
/// # Panics
///
/// Panics if the service is not ready, does not answer within a few polls, or fails.
// Never inlined, since otherwise some services would avoid moves that others need.
#[inline(never)]
pub fn exchange<S, B>(service: &mut S, request: Request<B>) -> S::Response
where
    S: Service<Request<B>>,
    S::Error: Debug,
{
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(ready) = service.poll_ready(&mut context) else {
        panic!("the service is not ready");
    };
    ready.expect("the service has not failed");
    let mut response = pin!(service.call(request));
    // Some wake themselves between two steps.
    for _ in 0..4 {
        if let Poll::Ready(response) = response.as_mut().poll(&mut context) {
            return response.expect("the service does not fail");
        }
    }
    panic!("the service does not answer at once")
}

/// The headers of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Headers {
    /// No headers.
    Zero,
    /// Accept and User-Agent, made at run time like those from the network.
    Two,
    /// Eight headers, made at run time.
    Eight,
    /// The same eight headers from static text, which are cloned without an allocation.
    EightStatic,
}

static EIGHT: [(HeaderName, &str); 8] = [
    (header::ACCEPT, "application/json"),
    (header::USER_AGENT, "measured/1.0"),
    (header::ACCEPT_ENCODING, "gzip, br"),
    (header::ACCEPT_LANGUAGE, "en"),
    (header::AUTHORIZATION, "Bearer 0123456789abcdef"),
    (header::CONTENT_TYPE, "application/json"),
    (header::CONTENT_LENGTH, "0"),
    (header::ORIGIN, "https://app.example"),
];

impl Headers {
    /// The number of the eight headers that a poll carries: all except Content-Type, Content-Length and
    /// Origin.
    pub const KEPT_OF_EIGHT: u64 = 5;

    fn fill(self, headers: &mut HeaderMap) {
        let (count, made) = match self {
            Self::Zero => return,
            Self::Two => (2, true),
            Self::Eight => (8, true),
            Self::EightStatic => (8, false),
        };
        headers.reserve(count);
        for (name, value) in &EIGHT[..count] {
            let value = if made {
                HeaderValue::from_str(black_box(value)).expect("a valid value")
            } else {
                HeaderValue::from_static(value)
            };
            headers.insert(name, value);
        }
    }
}

/// Creates a request without a body. Its URI is parsed at run time.
///
/// # Panics
///
/// Panics if the URI is invalid.
#[must_use]
pub fn request(method: Method, uri: &str, headers: Headers) -> Request<Body> {
    let mut request = Request::new(Body::default());
    *request.method_mut() = method;
    *request.uri_mut() = Uri::try_from(black_box(uri)).expect("a valid URI");
    headers.fill(request.headers_mut());
    request
}

/// Creates a runtime of one thread, with timers.
///
/// # Panics
///
/// Panics if the system cannot provide one.
#[must_use]
pub fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
}

/// Runs all tasks of the current runtime as far as possible without advancing the time.
pub async fn settle() {
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
}

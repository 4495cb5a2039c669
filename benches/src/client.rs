//! The client half and its peers, over a service that answers immediately.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    time::Duration,
};

use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{LOCATION, RETRY_AFTER},
};
use tokio::runtime::Runtime;
use tower::{
    Layer, Service,
    retry::{Policy, RetryLayer},
    timeout::TimeoutLayer,
};
use tower_http::follow_redirect::FollowRedirectLayer;
use tower_poll::{PollLayer, StandardPolicy};

use crate::{Body, Case, Entry, Headers, exchange, request, runtime};

const ABSOLUTE: &str = "https://api.example/report";
const PATH: &str = "/package.Service/Report";

/// The cases of the client half.
#[must_use]
pub fn entries() -> Vec<Entry> {
    macro_rules! entries {
        ($($name:literal => $service:expr, $uri:expr, $headers:ident;)*) => {
            vec![$(Entry {
                name: $name,
                make: || Box::new(Calls::new($service, $uri, Headers::$headers)),
            }),*]
        };
    }
    let mut entries = entries! {
        "client/bare/0" => Plain, ABSOLUTE, Zero;
        "client/timeout/0" => timeout(), ABSOLUTE, Zero;
        "client/retry/0" => retry(), ABSOLUTE, Zero;
        "client/redirect/0" => redirect(Plain), ABSOLUTE, Zero;
        "client/poll/0" => poll(Plain), ABSOLUTE, Zero;
        "client/bare path/0" => Plain, PATH, Zero;
        "client/poll path/0" => poll(Plain), PATH, Zero;
        "client/bare/8" => Plain, ABSOLUTE, Eight;
        "client/timeout/8" => timeout(), ABSOLUTE, Eight;
        "client/retry/8" => retry(), ABSOLUTE, Eight;
        "client/redirect/8" => redirect(Plain), ABSOLUTE, Eight;
        "client/poll/8" => poll(Plain), ABSOLUTE, Eight;
        "client/bare/8 static" => Plain, ABSOLUTE, EightStatic;
        "client/timeout/8 static" => timeout(), ABSOLUTE, EightStatic;
        "client/retry/8 static" => retry(), ABSOLUTE, EightStatic;
        "client/redirect/8 static" => redirect(Plain), ABSOLUTE, EightStatic;
        "client/poll/8 static" => poll(Plain), ABSOLUTE, EightStatic;
        "client/bare/2" => Plain, ABSOLUTE, Two;
        "client/redirect hop/0" => redirect(OneHop), ABSOLUTE, Zero;
        "client/poll hop/0" => poll(OneHop), ABSOLUTE, Zero;
        "client/redirect hop/2" => redirect(OneHop), ABSOLUTE, Two;
        "client/poll hop/2" => poll(OneHop), ABSOLUTE, Two;
        "client/redirect hop/8" => redirect(OneHop), ABSOLUTE, Eight;
        "client/poll hop/8" => poll(OneHop), ABSOLUTE, Eight;
    };
    macro_rules! by_hand {
        ($($name:literal => $headers:ident;)*) => {
            entries.extend([$(Entry {
                name: $name,
                make: || Box::new(TwoCalls { headers: Headers::$headers }),
            }),*]);
        };
    }
    by_hand! {
        "client/two calls/0" => Zero;
        "client/two calls/2" => Two;
        "client/two calls/8" => Eight;
    }
    entries
}

fn timeout() -> impl Service<Request<Body>, Response = Response<Body>, Error: std::fmt::Debug> {
    TimeoutLayer::new(Duration::from_secs(30)).layer(Plain)
}

fn retry() -> impl Service<Request<Body>, Response = Response<Body>, Error: std::fmt::Debug> {
    RetryLayer::new(CloneRequests).layer(Plain)
}

fn redirect<S>(
    inner: S,
) -> impl Service<Request<Body>, Response = Response<Body>, Error: std::fmt::Debug>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
{
    FollowRedirectLayer::new().layer(inner)
}

fn poll<S>(
    inner: S,
) -> impl Service<Request<Body>, Response = Response<Body>, Error: std::fmt::Debug>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
{
    let policy = StandardPolicy::new().min_delay(Duration::ZERO);
    PollLayer::with_policy(policy).layer(inner)
}

/// A service that answers immediately with an empty response.
#[derive(Debug, Clone, Copy)]
struct Plain;

impl Service<Request<Body>> for Plain {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        drop(black_box(request));
        ready(Ok(Response::default()))
    }
}

/// A service that redirects every request to the job, and answers a poll with an empty response.
#[derive(Debug, Clone, Copy)]
struct OneHop;

impl Service<Request<Body>> for OneHop {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut response = Response::default();
        if request.uri().path() != "/work/1" {
            *response.status_mut() = StatusCode::SEE_OTHER;
            let made = |text| HeaderValue::from_str(black_box(text)).expect("a valid value");
            let headers = response.headers_mut();
            headers.insert(LOCATION, made("/work/1?poll=1&due=0"));
            headers.insert(RETRY_AFTER, made("0"));
        }
        drop(black_box(request));
        ready(Ok(response))
    }
}

/// A retry policy that clones every request, and never retries.
#[derive(Debug, Clone, Copy)]
struct CloneRequests;

impl<E> Policy<Request<Body>, Response<Body>, E> for CloneRequests {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Body>,
        _: &mut Result<Response<Body>, E>,
    ) -> Option<Ready<()>> {
        None
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}

struct Calls<S> {
    service: S,
    uri: &'static str,
    headers: Headers,
    runtime: Runtime,
}

impl<S> Calls<S> {
    fn new(service: S, uri: &'static str, headers: Headers) -> Self {
        Self {
            service,
            uri,
            headers,
            runtime: runtime(),
        }
    }
}

impl<S> Case for Calls<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error: std::fmt::Debug>,
{
    fn run(&mut self, iterations: u64) {
        let _entered = self.runtime.enter();
        for _ in 0..iterations {
            let request = request(Method::POST, self.uri, self.headers);
            black_box(exchange(&mut self.service, request));
        }
    }
}

/// The minimum of a followed hop: two calls of the service.
struct TwoCalls {
    headers: Headers,
}

impl Case for TwoCalls {
    fn run(&mut self, iterations: u64) {
        for _ in 0..iterations {
            let submission = request(Method::POST, ABSOLUTE, self.headers);
            black_box(exchange(&mut OneHop, submission));
            let mut poll = Request::new(Body::default());
            *poll.uri_mut() = http::Uri::from_static("/work/1");
            black_box(exchange(&mut OneHop, poll));
        }
    }
}

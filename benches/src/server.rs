//! The server half as a service, over a handler that answers immediately or never.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, extract::Path, routing::get};
use http::{Method, Request, Response, StatusCode, header::LOCATION};
use tokio::{runtime::Runtime, sync::Notify, task::yield_now};
use tower::{Layer, Service, service_fn};
use tower_async_job::{AsyncJobLayer, Builder, JobBody, Policy};

use crate::{Body, Case, Entry, Headers, exchange, peer, request, runtime, settle};

/// The cases of the server half.
#[must_use]
pub fn entries() -> Vec<Entry> {
    macro_rules! entries {
        ($($name:literal => $case:expr;)*) => {
            vec![$(Entry { name: $name, make: || Box::new($case) }),*]
        };
    }
    entries! {
        "server/bare/0" => Inline::new(Plain, Headers::Zero);
        "server/matched out/0" => Inline::new(layered(matched_out()), Headers::Zero);
        "server/inline, no context/0" => Inline::new(layered(without_context()), Headers::Zero);
        "server/inline/0" => Inline::new(layered(AsyncJobLayer::new()), Headers::Zero);
        "server/bare/8" => Inline::new(Plain, Headers::Eight);
        "server/matched out/8" => Inline::new(layered(matched_out()), Headers::Eight);
        "server/inline, no context/8" => Inline::new(layered(without_context()), Headers::Eight);
        "server/inline, policy/8" => Inline::new(layered(with_policy()), Headers::Eight);
        "server/inline/8" => Inline::new(layered(AsyncJobLayer::new()), Headers::Eight);
        "server/hand-written submission" => Submissions::new(peer::plain::router);
        "server/job submission" => Submissions::new(deferring);
        "server/axum route" => Polls::new(axum_route, None);
        "server/hand-written pending" => Polls::new(peer::plain::router, Some(false));
        "server/job pending" => Polls::new(deferring, Some(false));
        "server/hand-written done" => Polls::new(peer::plain::router, Some(true));
        "server/job done" => Polls::new(deferring, Some(true));
    }
}

/// Creates a layer without an inline wait.
pub fn immediate() -> AsyncJobLayer {
    built(AsyncJobLayer::builder().inline_wait(Duration::ZERO))
}

fn built(builder: Builder) -> AsyncJobLayer {
    builder.build().expect("a valid configuration")
}

fn matched_out() -> AsyncJobLayer {
    built(AsyncJobLayer::builder().defer_when(|head| head.uri.path().starts_with("/slow/")))
}

fn without_context() -> AsyncJobLayer {
    built(AsyncJobLayer::builder().context(false))
}

/// Creates a layer that chooses the same policy for each request.
fn with_policy() -> AsyncJobLayer {
    let policy = Arc::new(Policy::default());
    built(AsyncJobLayer::builder().policy(move |_| policy.clone()))
}

fn layered(layer: AsyncJobLayer) -> tower_async_job::AsyncJob<Plain> {
    layer.layer(Plain)
}

/// A service that answers immediately with an empty response.
#[derive(Debug, Clone, Copy)]
struct Plain;

impl<B> Service<Request<B>> for Plain {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        drop(black_box(request));
        ready(Ok(Response::default()))
    }
}

/// Calls that are answered immediately, outside of a runtime, so that there are no timers.
struct Inline<S> {
    service: S,
    headers: Headers,
}

impl<S> Inline<S> {
    fn new(service: S, headers: Headers) -> Self {
        Self { service, headers }
    }
}

impl<S: Service<Request<Body>, Error = Infallible>> Case for Inline<S> {
    fn run(&mut self, iterations: u64) {
        for _ in 0..iterations {
            let request = request(Method::POST, "/report", self.headers);
            black_box(exchange(&mut self.service, request));
        }
    }
}

/// A route whose path looks like a poll, and that answers with a word.
fn axum_route(_: Arc<Notify>) -> Router {
    let hello = |Path(_): Path<String>| ready("hello");
    Router::new().route("/work/{id}", get(hello))
}

/// Creates the layer over a handler that waits for the gate.
fn deferring(gate: Arc<Notify>) -> impl Service<Request<Body>, Response: Head, Error = Infallible> {
    let handler = service_fn(move |_: Request<JobBody<Body>>| {
        let work = peer::work(gate.clone());
        async move { Ok(Response::new(Body::new(work.await))) }
    });
    immediate().layer(handler)
}

/// The head of a response with any body.
pub trait Head {
    /// Returns the status.
    fn status(&self) -> StatusCode;
    /// Returns the path in Location.
    fn location(&self) -> &str;
}

impl<R> Head for Response<R> {
    fn status(&self) -> StatusCode {
        self.status()
    }

    fn location(&self) -> &str {
        self.headers()[LOCATION].to_str().expect("text")
    }
}

/// Submissions of jobs that do not end. Each waits for the acceptance.
struct Submissions<S> {
    make: fn(Arc<Notify>) -> S,
    service: S,
    runtime: Runtime,
}

impl<S> Submissions<S> {
    fn new(make: fn(Arc<Notify>) -> S) -> Self {
        Self {
            make,
            service: make(Arc::default()),
            runtime: runtime(),
        }
    }
}

impl<S> Case for Submissions<S>
where
    S: Service<Request<Body>, Response: Head, Error = Infallible>,
{
    fn run(&mut self, iterations: u64) {
        let service = &mut self.service;
        self.runtime.block_on(async {
            for _ in 0..iterations {
                let request = request(Method::POST, "/report", Headers::Zero);
                let Ok(response) = service.call(request).await;
                assert_eq!(response.status(), StatusCode::SEE_OTHER);
                // Runs the job as far as possible, even if the acceptance does not wait for it.
                yield_now().await;
            }
        });
    }

    fn reset(&mut self) {
        self.runtime = runtime();
        self.service = (self.make)(Arc::default());
    }
}

/// Polls of one job, or of a route that is not a job.
struct Polls<S> {
    service: S,
    location: String,
    runtime: Runtime,
}

impl<S> Polls<S>
where
    S: Service<Request<Body>, Response: Head, Error = Infallible>,
{
    fn new(make: fn(Arc<Notify>) -> S, done: Option<bool>) -> Self {
        let gate = Arc::new(Notify::new());
        let mut service = make(gate.clone());
        let runtime = runtime();
        let mut location = "/work/0123456789abcdef0123456789abcdef".to_owned();
        if let Some(done) = done {
            runtime.block_on(async {
                let submission = request(Method::POST, "/report", Headers::Zero);
                let Ok(accepted) = service.call(submission).await;
                // Polls at the time that the answer announces.
                location = accepted.location().replace("due=1000", "due=0");
                if done {
                    settle().await;
                    gate.notify_waiters();
                    settle().await;
                }
            });
        }
        let mut polls = Self {
            service,
            location,
            runtime,
        };
        let expected = match done {
            Some(false) => StatusCode::SEE_OTHER,
            _ => StatusCode::OK,
        };
        let _entered = polls.runtime.enter();
        let poll = request(Method::GET, &polls.location, Headers::Two);
        assert_eq!(exchange(&mut polls.service, poll).status(), expected);
        drop(_entered);
        polls
    }
}

impl<S> Case for Polls<S>
where
    S: Service<Request<Body>, Response: Head, Error = Infallible>,
{
    fn run(&mut self, iterations: u64) {
        let _entered = self.runtime.enter();
        for _ in 0..iterations {
            let poll = request(Method::GET, &self.location, Headers::Two);
            black_box(exchange(&mut self.service, poll));
        }
    }
}

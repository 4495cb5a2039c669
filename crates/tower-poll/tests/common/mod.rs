//! A service that answers by a script and remembers what it was asked.

#![allow(dead_code, reason = "each test file uses its own part of this")]
#![allow(unreachable_pub, reason = "a module of test crates has no public")]

use std::{
    fmt,
    future::{Ready, ready},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri, Version};
use http_body_util::{BodyExt, Full};
use tokio::time::Instant;
use tower::{BoxError, Layer, Service, ServiceExt};
use tower_poll::{Error, PollLayer, PollPolicy, PollService, StandardPolicy};

pub type TestBody = Full<Bytes>;
pub type Answer<R = TestBody> = Result<Response<R>, BoxError>;

type Play<R> = dyn Fn(usize, &Request<TestBody>) -> Answer<R> + Send + Sync;

/// A request, and the time from the start until it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    pub uri: Uri,
    pub version: Version,
    pub headers: HeaderMap,
    pub at: Duration,
}

/// Answers request number `n`, counted from 0, as a closure says. Panics when
/// it is called without having been polled ready.
pub struct Script<R = TestBody> {
    play: Arc<Play<R>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    start: Instant,
    is_ready: bool,
}

impl<R> Script<R> {
    pub fn new(
        play: impl Fn(usize, &Request<TestBody>) -> Answer<R> + Send + Sync + 'static,
    ) -> Self {
        Self {
            play: Arc::new(play),
            seen: Arc::default(),
            start: Instant::now(),
            is_ready: false,
        }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// The URIs that were asked for, in order.
    pub fn uris(&self) -> Vec<String> {
        self.seen()
            .iter()
            .map(|seen| seen.uri.to_string())
            .collect()
    }

    /// The time between the first two requests.
    pub fn delay(&self) -> Duration {
        let seen = self.seen();
        seen[1].at - seen[0].at
    }
}

impl<R> Clone for Script<R> {
    fn clone(&self) -> Self {
        Self {
            play: Arc::clone(&self.play),
            seen: Arc::clone(&self.seen),
            start: self.start,
            is_ready: false,
        }
    }
}

impl<R> fmt::Debug for Script<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").finish_non_exhaustive()
    }
}

impl<R> Service<Request<TestBody>> for Script<R> {
    type Response = Response<R>;
    type Error = BoxError;
    type Future = Ready<Answer<R>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<TestBody>) -> Self::Future {
        assert!(self.is_ready, "called without having been polled ready");
        self.is_ready = false;
        let number = {
            let mut seen = self.seen.lock().unwrap();
            seen.push(Seen {
                method: request.method().clone(),
                uri: request.uri().clone(),
                version: request.version(),
                headers: request.headers().clone(),
                at: self.start.elapsed(),
            });
            seen.len() - 1
        };
        ready((self.play)(number, &request))
    }
}

/// Delays are as told by the server, from 100 ms to 60 s.
pub fn exact() -> StandardPolicy {
    StandardPolicy::new().jittered(false)
}

pub fn exact_layer() -> PollLayer {
    PollLayer::with_policy(exact())
}

pub fn post(uri: &str) -> Request<TestBody> {
    Request::post(uri).body(Full::from("the work")).unwrap()
}

/// Sends `request` through `layer` around `server`.
pub async fn send<P, S, R>(
    layer: PollLayer<P>,
    server: &S,
    request: Request<TestBody>,
) -> Result<Response<R>, Error>
where
    P: PollPolicy + Clone,
    S: Service<Request<TestBody>, Response = Response<R>, Error = BoxError> + Clone,
    R: http_body::Body,
{
    let service: PollService<_, P> = layer.layer(server.clone());
    service.oneshot(request).await
}

/// An answer with these headers and an empty body.
pub fn answer(status: u16, headers: &[(&str, &str)]) -> Answer {
    answer_with(status, headers, "")
}

pub fn answer_with(status: u16, headers: &[(&str, &str)], body: &'static str) -> Answer {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    Ok(response.body(Full::from(body))?)
}

/// 303 to `location`, in a second.
pub fn see_other(location: &str) -> Answer {
    answer(303, &[("location", location), ("retry-after", "1")])
}

pub async fn text(response: Response<TestBody>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

//! Shared helpers: services to wrap, and short forms of requests.
#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod faulty;
pub(crate) mod lists;
pub(crate) mod logged;

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, channel::Channel};
use tower::{BoxError, Layer, Service, ServiceExt, util::BoxCloneSyncService};
use tower_async_job::{
    AsyncJobLayer, Builder, JobBody, ResponseBody,
    store::{JobId, MemoryStore, MemoryStoreBuilder},
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) type Body = Full<Bytes>;
pub(crate) type Handler = BoxCloneSyncService<Request<JobBody<Body>>, Response<Body>, Infallible>;

/// Returns a handler from a closure over the request.
pub(crate) fn handler<F, Fut>(handle: F) -> Handler
where
    F: Fn(Request<JobBody<Body>>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response<Body>> + Send + 'static,
{
    BoxCloneSyncService::new(tower::service_fn(move |request| {
        let response = handle(request);
        async move { Ok(response.await) }
    }))
}

/// Returns a handler that answers `text` after a time.
pub(crate) fn slow(time: Duration, text: &'static str) -> Handler {
    handler(move |_| async move {
        tokio::time::sleep(time).await;
        Response::new(Body::from(text))
    })
}

/// Returns a layer with an inline wait of zero.
pub(crate) fn eager(builder: Builder) -> AsyncJobLayer {
    builder
        .inline_wait(Duration::ZERO)
        .build()
        .expect("valid configuration")
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Answer {
    pub(crate) async fn of<B>(response: Response<B>) -> Self
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: std::fmt::Debug,
    {
        let (parts, body) = response.into_parts();
        let collected = body.collect().await.expect("the body is whole");
        let trailers = collected.trailers().cloned();
        Self {
            status: parts.status,
            headers: parts.headers,
            body: collected.to_bytes(),
            trailers,
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }

    pub(crate) fn location(&self) -> &str {
        self.header("location")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("json")
    }

    /// Asserts that this is a pending answer.
    #[track_caller]
    pub(crate) fn pending(self) -> Self {
        assert!(
            matches!(self.header("job-status"), "running" | "queued"),
            "not pending: {self:?}"
        );
        self
    }
}

/// Sends a request to a service of the layer.
pub(crate) async fn send<S, R>(service: &S, request: Request<Body>) -> Answer
where
    S: Service<Request<Body>, Response = Response<ResponseBody<R>>> + Clone,
    S::Error: std::fmt::Debug,
    R: http_body::Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    Answer::of(
        service
            .clone()
            .oneshot(request)
            .await
            .expect("no service error"),
    )
    .await
}

pub(crate) fn request(method: Method, uri: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(uri)
        .body(Body::default())
        .expect("valid request")
}

pub(crate) fn post(uri: &str) -> Request<Body> {
    request(Method::POST, uri)
}

pub(crate) fn get(uri: &str) -> Request<Body> {
    request(Method::GET, uri)
}

/// Runs everything that is ready, without time passing.
pub(crate) async fn settle() {
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
}

/// Returns a service of the layer over a handler.
pub(crate) fn wrap(layer: &AsyncJobLayer, handler: Handler) -> tower_async_job::AsyncJob<Handler> {
    layer.layer(handler)
}

/// Adds `Prefer: respond-async` to a request.
pub(crate) fn asking(mut request: Request<Body>) -> Request<Body> {
    request
        .headers_mut()
        .insert("prefer", HeaderValue::from_static("respond-async"));
    request
}

/// Returns a gRPC call with `Prefer: respond-async`.
pub(crate) fn grpc(uri: &str) -> Request<Body> {
    with(asking(post(uri)), "content-type", "application/grpc+proto")
}

pub(crate) fn with<B>(
    mut request: Request<B>,
    name: &'static str,
    value: &'static str,
) -> Request<B> {
    let name = HeaderName::from_static(name);
    request
        .headers_mut()
        .append(name, HeaderValue::from_static(value));
    request
}

/// Returns the id in a pending answer's Location.
pub(crate) fn id_of(location: &str) -> JobId {
    let path = location.split('?').next().expect("never empty");
    let segment = path.rsplit('/').next().expect("never empty");
    segment.parse().expect("a job's id")
}

/// Returns the job's URL without hints.
pub(crate) fn path_of(location: &str) -> &str {
    location.split('?').next().expect("never empty")
}

/// Returns a builder of memory stores on tokio's clock.
pub(crate) fn memory() -> MemoryStoreBuilder {
    MemoryStore::builder()
        .clock(|| -> std::time::Instant { tokio::time::Instant::now().into_std() })
}

/// A probe that reveals whether the holder of its token still exists.
#[derive(Debug)]
pub(crate) struct Lifeline(Weak<()>);

impl Lifeline {
    pub(crate) fn new() -> (Arc<()>, Self) {
        let token = Arc::new(());
        let lifeline = Self(Arc::downgrade(&token));
        (token, lifeline)
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.holders() > 0
    }

    /// Returns the number of holders of the token.
    pub(crate) fn holders(&self) -> usize {
        self.0.strong_count()
    }
}

/// Returns a handler for one call that holds a token while it runs, and counts its end.
pub(crate) fn watched(time: Duration, text: &'static str) -> (Handler, Lifeline, Arc<AtomicUsize>) {
    let (token, lifeline) = Lifeline::new();
    let token = Arc::new(std::sync::Mutex::new(Some(token)));
    let ended = Arc::new(AtomicUsize::new(0));
    let count = ended.clone();
    let handler = handler(move |_| {
        let token = token.lock().expect("unpoisoned").take();
        let count = count.clone();
        async move {
            let _token = token;
            tokio::time::sleep(time).await;
            count.fetch_add(1, Ordering::SeqCst);
            Response::new(Body::from(text))
        }
    });
    (handler, lifeline, ended)
}

/// A body fed by a channel, for uploads and streams that the test controls.
pub(crate) type Stream = Channel<Bytes, BoxError>;

pub(crate) fn stream() -> (http_body_util::channel::Sender<Bytes, BoxError>, Stream) {
    Channel::new(16)
}

pub(crate) fn upload(uri: &str, body: Stream) -> Request<Stream> {
    Request::post(uri).body(body).expect("valid request")
}

/// Sends a request to the job resource.
pub(crate) async fn ask(layer: &AsyncJobLayer, request: Request<Body>) -> Answer {
    let response = layer.resource().oneshot(request).await.expect("infallible");
    Answer::of(response).await
}

/// A service that is ready for one call, and panics when called unready.
#[derive(Debug)]
pub(crate) struct Strict<S> {
    inner: S,
    ready: bool,
}

impl<S> Strict<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self {
            inner,
            ready: false,
        }
    }
}

impl<S: Clone> Clone for Strict<S> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone())
    }
}

impl<S: Service<R>, R> Service<R> for Strict<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let ready = self.inner.poll_ready(cx);
        self.ready = matches!(ready, Poll::Ready(Ok(())));
        ready
    }

    fn call(&mut self, request: R) -> S::Future {
        assert!(
            std::mem::take(&mut self.ready),
            "called without being ready"
        );
        self.inner.call(request)
    }
}

/// Returns a body of one chunk and trailers.
pub(crate) fn trailed(data: &'static str, trailers: HeaderMap) -> Trailed {
    Trailed {
        data: Some(Bytes::from_static(data.as_bytes())),
        trailers: Some(trailers),
    }
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Trailed {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl http_body::Body for Trailed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        let data = self.data.take().map(http_body::Frame::data);
        Poll::Ready(
            data.or_else(|| self.trailers.take().map(http_body::Frame::trailers))
                .map(Ok),
        )
    }
}

/// Sends any request, and returns the response unread.
pub(crate) async fn call<S, B, R>(service: &S, request: Request<B>) -> Response<ResponseBody<R>>
where
    S: Service<Request<B>, Response = Response<ResponseBody<R>>> + Clone,
    S::Error: std::fmt::Debug,
{
    service
        .clone()
        .oneshot(request)
        .await
        .expect("no service error")
}

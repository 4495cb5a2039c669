//! A layer that reports each exchange without changing it.
//!
//! It belongs beneath `PollLayer`, where every poll is a separate request; above `PollLayer` there is
//! only one request and one response. `PollLayer` discards the bodies of pending answers, which are
//! status documents with the progress. The layer reads them before it passes them on.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use http::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    header::{LOCATION, RETRY_AFTER},
};
use http_body_util::{BodyExt, Either, Full, Limited};
use http_polling::{JobState, RETRY_AFTER_MS, StatusDocument};
use hyper::body::{Body, Incoming};
use tower::{Layer, Service};

/// The maximum size of a status document, in bytes.
const DOCUMENT_LIMIT: usize = 64 << 10;

/// A request and the relevant parts of its answer.
pub(crate) struct Exchange {
    /// The time of the request since the layer was created.
    pub(crate) sent: Duration,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) status: StatusCode,
    pub(crate) job: Option<JobState>,
    pub(crate) location: Option<String>,
    pub(crate) retry_after: Option<String>,
    pub(crate) retry_after_ms: Option<String>,
    /// The body of a pending answer.
    pub(crate) document: Option<StatusDocument>,
}

impl Exchange {
    /// Returns whether its job was accepted before this time.
    pub(crate) fn is_of_job_before(&self, time: SystemTime) -> bool {
        let created = self.document.as_ref().and_then(|document| document.created);
        // A document has the time in whole milliseconds.
        created.is_some_and(|created| created + Duration::from_millis(1) <= time)
    }

    /// Returns the number of the attempt at the job, if it is not the first.
    pub(crate) fn later_attempt(&self) -> Option<u32> {
        let attempt = self.document.as_ref()?.attempt;
        (attempt > 1).then_some(attempt)
    }
}

type Tell = Arc<dyn Fn(Exchange) + Send + Sync>;

/// The callback for each exchange.
#[derive(Clone)]
pub(crate) struct WatchLayer {
    start: Instant,
    tell: Tell,
}

impl WatchLayer {
    pub(crate) fn new(tell: impl Fn(Exchange) + Send + Sync + 'static) -> Self {
        Self {
            start: Instant::now(),
            tell: Arc::new(tell),
        }
    }
}

impl<S> Layer<S> for WatchLayer {
    type Service = Watch<S>;

    fn layer(&self, inner: S) -> Watch<S> {
        Watch {
            inner,
            layer: self.clone(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Watch<S> {
    inner: S,
    layer: WatchLayer,
}

impl<S, B> Service<Request<B>> for Watch<S>
where
    S: Service<Request<B>, Response = Response<Incoming>>,
    S::Future: Send + 'static,
{
    type Response = Response<Either<Full<Bytes>, Incoming>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let WatchLayer { start, tell } = self.layer.clone();
        let sent = start.elapsed();
        let method = request.method().clone();
        let uri = request.uri().clone();
        let response = self.inner.call(request);
        Box::pin(async move {
            let (head, body) = response.await?.into_parts();
            let job = JobState::from_headers(&head.headers);
            let (document, body) = match job {
                Some(state) if state.is_pending() => {
                    let json = read(body).await;
                    (
                        StatusDocument::from_json(&json).ok(),
                        Either::Left(Full::new(json)),
                    )
                }
                _ => (None, Either::Right(body)),
            };
            tell(Exchange {
                sent,
                method,
                uri,
                status: head.status,
                job,
                location: text(&head.headers, LOCATION),
                retry_after: text(&head.headers, RETRY_AFTER),
                retry_after_ms: text(&head.headers, RETRY_AFTER_MS),
                document,
            });
            Ok(Response::from_parts(head, body))
        })
    }
}

/// Reads the body. Returns an empty one if the body is too long or breaks off, so that the call does
/// not fail.
async fn read<B>(body: B) -> Bytes
where
    B: Body<Data = Bytes>,
    B::Error: Into<tower::BoxError>,
{
    match Limited::new(body, DOCUMENT_LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => Bytes::new(),
    }
}

fn text(headers: &HeaderMap, name: http::HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

//! The servers that the programs call.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{
        StatusCode,
        header::{LOCATION, RETRY_AFTER},
    },
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::{get, post},
};
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use tokio::{net::TcpListener, task::JoinHandle};
use tower_async_job::{AsyncJobLayer, Estimator, Learned, ObservedJob, PendingStatus};

/// The factor by which a fast server's clock is faster than real time.
const PACE: u32 = 60;

/// A server, which runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Site {
    address: SocketAddr,
    requests: Requests,
    runs: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

/// The received requests, with their times.
type Requests = Arc<Mutex<Vec<(String, Instant)>>>;

impl Site {
    /// Starts a server with a handler that takes `duration`, under the layer with its defaults.
    pub(crate) async fn slow(duration: Duration) -> Result<Self> {
        Self::with_layer(AsyncJobLayer::new(), duration).await
    }

    /// Starts the same server on a clock that is [`PACE`] times as fast as real time: every duration of
    /// the layer is the default divided by [`PACE`].
    pub(crate) async fn hurried(duration: Duration) -> Result<Self> {
        let layer = AsyncJobLayer::builder()
            .inline_wait(Duration::from_secs(1) / PACE)
            .max_hold(Duration::from_secs(25) / PACE)
            .estimator(Hurried(Learned::new()))
            .build()?;
        Self::with_layer(layer, duration / PACE).await
    }

    async fn with_layer(layer: AsyncJobLayer, duration: Duration) -> Result<Self> {
        let runs = Arc::new(AtomicUsize::new(0));
        Self::serve(reports(layer, duration, runs.clone()), runs).await
    }

    /// Starts a server whose first answer is lost after the work was begun, in a gateway's view.
    pub(crate) async fn losing(duration: Duration) -> Result<Self> {
        let runs = Arc::new(AtomicUsize::new(0));
        let router = reports(AsyncJobLayer::new(), duration, runs.clone());
        let answers = Arc::new(AtomicUsize::new(0));
        Self::serve(router.layer(from_fn_with_state(answers, lose_first)), runs).await
    }

    /// Starts a server that answers with 202 instead of 303.
    pub(crate) async fn accepting(duration: Duration) -> Result<Self> {
        let layer = AsyncJobLayer::builder().pending_status(PendingStatus::Accepted);
        Self::with_layer(layer.build()?, duration).await
    }

    /// Starts a server whose work fails.
    pub(crate) async fn failing() -> Result<Self> {
        let report = async || {
            tokio::time::sleep(Duration::from_millis(1200)).await;
            (StatusCode::UNPROCESSABLE_ENTITY, "no ink")
        };
        let router = Router::new().route("/report", post(report));
        Self::serve(router.layer(AsyncJobLayer::new()), Arc::default()).await
    }

    /// Starts a server with a long result, whose first download breaks off.
    pub(crate) async fn breaking() -> Result<Self> {
        let report = async || {
            tokio::time::sleep(Duration::from_millis(300)).await;
            large()
        };
        let router = Router::new()
            .route("/report", post(report))
            .layer(AsyncJobLayer::new());
        let downloads = Arc::new(AtomicUsize::new(0));
        let router = router.layer(from_fn_with_state(downloads, break_first));
        Self::serve(router, Arc::default()).await
    }

    /// Starts a server that answers every request with a redirect and `Retry-After: 60`, to the same URL
    /// or to a different one each time.
    pub(crate) async fn endless(varying: bool) -> Result<Self> {
        let count = AtomicUsize::new(0);
        let redirect = move || {
            let turn = count.fetch_add(1, Ordering::Relaxed);
            let location = if varying {
                format!("/report?poll={turn}")
            } else {
                "/report".to_owned()
            };
            let headers = [(LOCATION, location), (RETRY_AFTER, "60".to_owned())];
            std::future::ready((StatusCode::SEE_OTHER, headers))
        };
        let redirect = Arc::new(redirect);
        let router = Router::new().fallback(move || redirect());
        Self::serve(router, Arc::default()).await
    }

    async fn serve(router: Router, runs: Arc<AtomicUsize>) -> Result<Self> {
        let requests = Requests::default();
        let router = router.layer(from_fn_with_state(requests.clone(), observe));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it listens");
        });
        Ok(Self {
            address,
            requests,
            runs,
            server,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/report", self.address)
    }

    /// Returns the requests so far, such as `GET /report`, without ids.
    pub(crate) fn requests(&self) -> Vec<String> {
        let requests = self.requests.lock();
        let requests = requests.unwrap_or_else(PoisonError::into_inner);
        requests.iter().map(|(line, _)| line.clone()).collect()
    }

    /// Returns how often the work was begun.
    pub(crate) fn runs(&self) -> usize {
        self.runs.load(Ordering::Relaxed)
    }

    /// Returns the time from the first request to the last.
    pub(crate) fn lasted(&self) -> Duration {
        let requests = self.requests.lock();
        let requests = requests.unwrap_or_else(PoisonError::into_inner);
        match (requests.first(), requests.last()) {
            (Some((_, first)), Some((_, last))) => *last - *first,
            _ => Duration::ZERO,
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The length of the long result.
pub(crate) const LENGTH: usize = 1_000_000;

/// Returns the long result.
pub(crate) fn large() -> Vec<u8> {
    (0..LENGTH).map(|at| (at % 251) as u8).collect()
}

/// Returns the slow route, which counts its runs.
fn reports(layer: AsyncJobLayer, duration: Duration, runs: Arc<AtomicUsize>) -> Router {
    let report = move || {
        runs.fetch_add(1, Ordering::Relaxed);
        async move {
            tokio::time::sleep(duration).await;
            "the report"
        }
    };
    Router::new()
        .route("/report", get(report.clone()).post(report))
        .layer(layer)
}

async fn lose_first(
    State(answers): State<Arc<AtomicUsize>>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    if answers.fetch_add(1, Ordering::Relaxed) > 0 {
        return response;
    }
    let mut lost = Response::default();
    *lost.status_mut() = StatusCode::BAD_GATEWAY;
    lost
}

async fn break_first(
    State(downloads): State<Arc<AtomicUsize>>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    let is_result = response.status() == StatusCode::OK;
    if !is_result || downloads.fetch_add(1, Ordering::Relaxed) > 0 {
        return response;
    }
    let (parts, body) = response.into_parts();
    let whole = body.collect().await.expect("a stored result").to_bytes();
    let begin = std::future::ready(Ok(whole.slice(..LENGTH / 3)));
    let end = async {
        // The beginning is sent meanwhile.
        tokio::time::sleep(Duration::from_millis(100)).await;
        Err(io::Error::other("it breaks off"))
    };
    let body = stream::once(begin).chain(stream::once(end));
    Response::from_parts(parts, Body::from_stream(body))
}

async fn observe(State(requests): State<Requests>, request: Request, next: Next) -> Response {
    let path = match request.uri().path() {
        path if path.starts_with("/work/") => "/work/{id}",
        path => path,
    };
    let line = format!("{} {path}", request.method());
    requests
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push((line, Instant::now()));
    next.run(request).await
}

/// The default estimator on the fast clock.
#[derive(Debug)]
struct Hurried(Learned);

impl Estimator for Hurried {
    fn retry_after(&self, pending: &ObservedJob<'_>) -> Duration {
        let mut pending = *pending;
        pending.age *= PACE;
        pending.running_for = pending.running_for.map(|time| time * PACE);
        self.0.retry_after(&pending) / PACE
    }
}

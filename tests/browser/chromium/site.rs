//! A web site with a slow route, whose handler the test controls.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::ensure;
use axum::{
    Form, Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, header, request::Parts},
    middleware::{Next, from_fn_with_state},
    response::{Html, Response},
    routing::{get, post},
};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{Mutex as AsyncMutex, mpsc, watch},
};
use tower_async_job::{AsyncJobLayer, Builder, JobContext, ObservedJob};
use tower_http::cors::{AllowOrigin, CorsLayer};

const FORM: &str = r#"<!doctype html>
<title>Order a report</title>
<form method="post" action="/report">
<label>Subject <input name="subject"></label>
<button id="order">Order</button>
</form>
"#;

/// The next step of the handler.
#[derive(Debug)]
pub(crate) enum Step {
    Progress(f64, &'static str),
    Metadata(&'static str, Value),
    /// Ends with a page with this heading.
    Finish(&'static str),
}

/// The site, which is served until this is dropped.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    steps: mpsc::UnboundedSender<Step>,
    requests: Requests,
    runs: Arc<AtomicUsize>,
    cancelled: watch::Receiver<bool>,
    outage: watch::Sender<bool>,
    holding: watch::Sender<bool>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Clone, Default)]
struct Requests(Arc<Mutex<Vec<String>>>);

#[derive(Clone)]
struct Handler {
    steps: Arc<AsyncMutex<mpsc::UnboundedReceiver<Step>>>,
    runs: Arc<AtomicUsize>,
    cancelled: watch::Sender<bool>,
}

/// The state of the middleware before the layer.
#[derive(Debug, Clone)]
struct Observer {
    requests: Requests,
    down: watch::Receiver<bool>,
    held: watch::Receiver<bool>,
}

impl Site {
    /// Serves the site with a layer whose polls are due every 200 ms.
    pub(crate) async fn serve(builder: Builder) -> anyhow::Result<Self> {
        Self::serve_with(builder, Router::new()).await
    }

    /// Serves the site, and further routes outside the layer.
    pub(crate) async fn serve_with(builder: Builder, further: Router) -> anyhow::Result<Self> {
        let (steps, taken) = mpsc::unbounded_channel();
        let (cancelling, cancelled) = watch::channel(false);
        let (outage, down) = watch::channel(false);
        let (holding, held) = watch::channel(false);
        let runs = Arc::new(AtomicUsize::new(0));
        let observer = Observer {
            requests: Requests::default(),
            down,
            held,
        };
        let requests = observer.requests.clone();
        let layer = fast(builder)?;
        let handler = Handler {
            steps: Arc::new(AsyncMutex::new(taken)),
            runs: runs.clone(),
            cancelled: cancelling,
        };
        let app = Router::new()
            .route("/", get(|| async { Html(FORM) }))
            .route("/report", post(report))
            .with_state(handler)
            .layer(layer);
        let app = further
            .fallback_service(app)
            .layer(allow_pages())
            .layer(from_fn_with_state(observer, observe));
        let (address, server) = serve(app).await?;
        Ok(Self {
            address,
            steps,
            requests,
            runs,
            cancelled,
            outage,
            holding,
            server,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn step(&self, step: Step) {
        self.steps.send(step).expect("the handler is there");
    }

    /// Returns the requests so far, such as `GET /report`, without ids.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().clone()
    }

    pub(crate) fn count(&self, request: &str) -> usize {
        self.requests()
            .iter()
            .filter(|found| *found == request)
            .count()
    }

    /// Waits until the request has arrived this number of times.
    pub(crate) async fn until_count(&self, request: &str, count: usize) -> anyhow::Result<()> {
        let start = std::time::Instant::now();
        while self.count(request) < count {
            ensure!(
                start.elapsed() < Duration::from_secs(30),
                "{request} should have arrived {count} times: {:?}",
                self.requests()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Waits until the handler sees that its job is cancelled.
    pub(crate) async fn until_cancelled(&mut self) {
        let seen = self.cancelled.wait_for(|cancelled| *cancelled);
        let _ = tokio::time::timeout(Duration::from_secs(30), seen)
            .await
            .expect("the job should have been cancelled");
    }

    /// Starts or stops answering every request with 502, like a proxy without an upstream.
    pub(crate) fn be_down(&self, down: bool) {
        self.outage.send_replace(down);
    }

    /// Starts or stops holding the answers to submissions back.
    pub(crate) fn hold_answers(&self, held: bool) {
        self.holding.send_replace(held);
    }

    /// Returns how often the handler was called.
    pub(crate) fn runs(&self) -> usize {
        self.runs.load(Ordering::Relaxed)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Requests {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Creates a layer that defers immediately, and whose polls are due every 200 ms.
pub(crate) fn fast(builder: Builder) -> anyhow::Result<AsyncJobLayer> {
    let layer = builder
        .inline_wait(Duration::ZERO)
        .estimator(|_: &ObservedJob<'_>| Duration::from_millis(200))
        .report_interval(Duration::from_millis(10))
        .build()?;
    Ok(layer)
}

/// Serves on a free port of the loopback interface.
pub(crate) async fn serve(
    app: Router,
) -> anyhow::Result<(SocketAddr, tokio::task::JoinHandle<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move {
        axum::serve(listener, app).await.expect("it listens");
    });
    Ok((address, server))
}

async fn observe(State(mut observer): State<Observer>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let path = match path.strip_prefix("/work/").and_then(|rest| rest.get(32..)) {
        Some(part) => format!("/work/{{id}}{part}"),
        None => path.to_owned(),
    };
    let line = format!("{} {path}", request.method());
    observer.requests.lock().push(line);
    if *observer.down.borrow() {
        let mut response = Response::default();
        *response.status_mut() = axum::http::StatusCode::BAD_GATEWAY;
        return response;
    }
    let is_submission = request.method() == Method::POST;
    let response = next.run(request).await;
    if is_submission {
        let _ = observer.held.wait_for(|held| !held).await;
    }
    response
}

/// Returns a layer that allows pages of other origins of this machine to submit, poll and cancel.
pub(crate) fn allow_pages() -> CorsLayer {
    let is_local =
        |origin: &HeaderValue, _: &Parts| origin.as_bytes().starts_with(b"http://127.0.0.1:");
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(is_local))
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([
            header::CONTENT_TYPE,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("prefer"),
        ])
        .expose_headers([
            header::LINK,
            header::LOCATION,
            header::CONTENT_LOCATION,
            header::RETRY_AFTER,
            HeaderName::from_static("retry-after-ms"),
            HeaderName::from_static("job-status"),
            HeaderName::from_static("preference-applied"),
        ])
}

async fn report(
    State(handler): State<Handler>,
    job: JobContext,
    Form(form): Form<Vec<(String, String)>>,
) -> Html<String> {
    handler.runs.fetch_add(1, Ordering::Relaxed);
    let mut steps = handler.steps.lock().await;
    loop {
        tokio::select! {
            step = steps.recv() => match step {
                Some(Step::Progress(fraction, message)) => {
                    job.progress(fraction);
                    job.message(message);
                }
                Some(Step::Metadata(key, value)) => job.metadata(key, value),
                Some(Step::Finish(heading)) => {
                    let subject = &form[0].1;
                    return Html(format!(
                        "<!doctype html><title>Report</title><h1>{heading}</h1><p>{subject}</p>"
                    ));
                }
                None => return Html("the test has ended".to_owned()),
            },
            () = job.cancelled() => {
                handler.cancelled.send_replace(true);
                return Html("cancelled".to_owned());
            }
        }
    }
}

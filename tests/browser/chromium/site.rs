//! A web site with a slow route, whose handler the test controls.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Form, Router,
    extract::{Request, State},
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
    cancelled: watch::Receiver<bool>,
    outage: watch::Sender<bool>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Clone, Default)]
struct Requests(Arc<Mutex<Vec<String>>>);

#[derive(Clone)]
struct Handler {
    steps: Arc<AsyncMutex<mpsc::UnboundedReceiver<Step>>>,
    cancelled: watch::Sender<bool>,
}

impl Site {
    /// Serves the site with a layer whose polls are due every 200 ms.
    pub(crate) async fn serve(builder: Builder) -> anyhow::Result<Self> {
        let (steps, taken) = mpsc::unbounded_channel();
        let (cancelling, cancelled) = watch::channel(false);
        let (outage, down) = watch::channel(false);
        let requests = Requests::default();
        let layer = fast(builder)?;
        let handler = Handler {
            steps: Arc::new(AsyncMutex::new(taken)),
            cancelled: cancelling,
        };
        let app = Router::new()
            .route("/", get(|| async { Html(FORM) }))
            .route("/report", post(report))
            .with_state(handler)
            .layer(layer)
            .layer(from_fn_with_state((requests.clone(), down), observe));
        let (address, server) = serve(app).await?;
        Ok(Self {
            address,
            steps,
            requests,
            cancelled,
            outage,
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

async fn observe(
    State((requests, down)): State<(Requests, watch::Receiver<bool>)>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let path = match path.strip_prefix("/work/").and_then(|rest| rest.get(32..)) {
        Some(part) => format!("/work/{{id}}{part}"),
        None => path.to_owned(),
    };
    requests.lock().push(format!("{} {path}", request.method()));
    if *down.borrow() {
        let mut response = Response::default();
        *response.status_mut() = axum::http::StatusCode::BAD_GATEWAY;
        return response;
    }
    next.run(request).await
}

async fn report(
    State(handler): State<Handler>,
    job: JobContext,
    Form(form): Form<Vec<(String, String)>>,
) -> Html<String> {
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

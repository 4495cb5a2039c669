//! Applications with the store: nodes of one process, and processes that are killed.
#![cfg(unix)]

#[path = "../support/child.rs"]
mod child;

mod budgets;
mod delivery;
mod downloads;
mod encrypted;
mod keys;
mod killed;
mod limits;
mod nodes;
mod outages;
mod records;
mod roles;
mod stopped;
mod traces;

use std::{path::Path, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    handler::Handler,
    routing::post,
};
use http::{HeaderMap, Method, Request, StatusCode, header::LOCATION};
use http_body_util::BodyExt;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;
use tower_async_job::{AsyncJobLayer, Builder, JobContext};
use tower_async_job_core::JobId;
use tower_async_job_sqlite::{SqliteStore, SqliteStoreBuilder};
use tower_async_job_testkit::FaultyStore;

/// The lease of the stores, short since these tests wait for its end.
const LEASE: Duration = Duration::from_secs(2);

/// The time within which a job of a node that is gone has begun again or is lost: the rest of its
/// lease, a sweep, and the pause before the second attempt. Machines under test are slow.
const RECOVERY: Duration = Duration::from_secs(20);

/// An application on the file, behind a connection with faults on demand.
struct Node {
    jobs: AsyncJobLayer,
    faults: FaultyStore,
    routes: Router,
    app: Router,
}

impl Node {
    async fn new(path: &Path, routes: Router) -> Self {
        Self::with(path, routes, |builder| builder, |store| store).await
    }

    async fn configured(
        path: &Path,
        routes: Router,
        layer: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        Self::with(path, routes, layer, |store| store).await
    }

    async fn with(
        path: &Path,
        routes: Router,
        layer: impl FnOnce(Builder) -> Builder,
        store: impl FnOnce(SqliteStoreBuilder) -> SqliteStoreBuilder,
    ) -> Self {
        let store = store(SqliteStore::builder().lease_duration(LEASE).readers(2));
        let faults = FaultyStore::new(std::sync::Arc::new(store.open(path).await.unwrap()));
        let builder = AsyncJobLayer::builder()
            .store(faults.store())
            .inline_wait(Duration::ZERO)
            .replay_when(|request| request.uri.path() == "/again");
        let jobs = layer(builder).build().unwrap();
        Self {
            app: routes
                .clone()
                .layer(jobs.clone())
                .nest_service("/work", jobs.resource()),
            jobs,
            faults,
            routes,
        }
    }

    /// Runs a worker.
    fn work(&self) {
        tokio::spawn(self.jobs.worker(self.routes.clone()).run());
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.app, request).await
    }

    /// Submits a request, and returns the job's URL. The request has a key, so that its job is
    /// stored before the handler runs, which is answered inline otherwise if it ends first.
    async fn submit(&self, path: &str) -> String {
        let mut request = request(Method::POST, path);
        let key = JobId::random().encode().to_string();
        let key = key.parse().unwrap();
        request.headers_mut().insert("idempotency-key", key);
        self.send(request).await.location().to_owned()
    }

    async fn get(&self, url: &str) -> Answer {
        self.send(request(Method::GET, url)).await
    }

    /// Polls a job until it ends. No answer says that it is unknown.
    async fn ended(&self, url: &str) -> Answer {
        let begun = Instant::now();
        loop {
            let answer = self.get(url).await;
            if answer.status != StatusCode::SEE_OTHER {
                assert_ne!(answer.state(), "unknown");
                return answer;
            }
            assert!(begun.elapsed() < 2 * RECOVERY, "{answer:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// An answer, read to its end.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    #[track_caller]
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    fn state(&self) -> &str {
        self.header("job-status")
    }

    /// Returns the job's URL in a pending answer.
    #[track_caller]
    fn location(&self) -> &str {
        assert!(matches!(self.state(), "queued" | "running"), "{self:?}");
        let url = self.header(LOCATION.as_str());
        url.split('?').next().unwrap()
    }

    /// Returns the last part of the type of a problem.
    #[track_caller]
    fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let text = String::from_utf8_lossy(&self.body);
        let (_, kind) = text.split_once(r#""type":""#).unwrap();
        let kind = kind.split('"').next().unwrap();
        kind.rsplit([':', '/', '#']).next().unwrap().to_owned()
    }
}

async fn send(app: &Router, request: Request<Body>) -> Answer {
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.collect().await.unwrap().to_bytes(),
    }
}

fn request(method: Method, uri: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(uri)
        .body(Body::empty())
        .unwrap()
}

/// Returns routes to a handler: `/again`, whose jobs are run again, and `/once`.
fn routes<T: 'static>(handler: impl Handler<T, ()>) -> Router {
    Router::new()
        .route("/again", post(handler.clone()))
        .route("/once", post(handler))
}

/// Returns routes that answer their attempt after a time.
fn slow(time: Duration) -> Router {
    routes(async move |job: JobContext| {
        sleep(time).await;
        attempt(&job)
    })
}

/// Returns routes that never answer.
fn endless() -> Router {
    routes(std::future::pending::<String>)
}

fn attempt(job: &JobContext) -> String {
    format!("attempt {}", job.attempt())
}

/// Returns routes that never answer, and the number of their handlers that run.
fn watched() -> (Router, std::sync::Weak<()>) {
    let token = std::sync::Arc::new(());
    let running = std::sync::Arc::downgrade(&token);
    // Only the runs hold it.
    let token = std::sync::Mutex::new(Some(token));
    let token = std::sync::Arc::new(token);
    let routes = routes(move || {
        let token = token.lock().unwrap().take();
        async move {
            let _token = token;
            std::future::pending::<String>().await
        }
    });
    (routes, running)
}

/// Waits until a condition holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < RECOVERY, "{what}");
        sleep(Duration::from_millis(10)).await;
    }
}

fn id_of(url: &str) -> JobId {
    url.rsplit('/').next().unwrap().parse().unwrap()
}

fn directory() -> (TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    (directory, path)
}

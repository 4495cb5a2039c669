//! Applications with the layer.

use std::time::Duration;

use axum::{
    Router,
    body::{Body, Bytes},
};
use http::{HeaderMap, Method, Request, StatusCode, header::LOCATION};
use http_body_util::BodyExt;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;
use tower_async_job::{AsyncJobLayer, Builder};
use tower_async_job_core::JobId;
use tower_async_job_testkit::{FaultyStore, NotRun};

use crate::nodes::{Nodes, Settings};

/// The time within which a job of a node that is gone has begun again or is lost: the rest of its
/// lease, a sweep, and the pause before the second attempt. Machines under test are slow.
pub(crate) const RECOVERY: Duration = Duration::from_secs(20);

/// An application on the data, behind a connection with faults on demand.
pub(crate) struct Node {
    pub(crate) jobs: AsyncJobLayer,
    pub(crate) faults: FaultyStore,
    pub(crate) app: Router,
    routes: Router,
}

impl Node {
    pub(crate) async fn new(data: &impl Nodes, routes: Router) -> Result<Self, NotRun> {
        Self::with(data, routes, |builder| builder, Settings::default()).await
    }

    pub(crate) async fn configured(
        data: &impl Nodes,
        routes: Router,
        layer: impl FnOnce(Builder) -> Builder,
    ) -> Result<Self, NotRun> {
        Self::with(data, routes, layer, Settings::default()).await
    }

    pub(crate) async fn with(
        data: &impl Nodes,
        routes: Router,
        layer: impl FnOnce(Builder) -> Builder,
        settings: Settings,
    ) -> Result<Self, NotRun> {
        let faults = FaultyStore::new(data.open(settings).await?);
        let builder = AsyncJobLayer::builder()
            .store(faults.store())
            .inline_wait(Duration::ZERO)
            .replay_when(|request| request.uri.path() == "/again");
        let jobs = layer(builder).build().unwrap();
        Ok(Self {
            app: routes
                .clone()
                .layer(jobs.clone())
                .nest_service("/work", jobs.resource()),
            jobs,
            faults,
            routes,
        })
    }

    /// Runs a worker.
    pub(crate) fn work(&self) {
        tokio::spawn(self.jobs.worker(self.routes.clone()).run());
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.app, request).await
    }

    /// Submits a request, and returns the job's URL. The request has a key, so that its job is
    /// stored before the handler runs, which is answered inline otherwise if it ends first.
    pub(crate) async fn submit(&self, path: &str) -> String {
        self.submitted(path).await.location().to_owned()
    }

    /// Submits such a request, and returns the answer.
    pub(crate) async fn submitted(&self, path: &str) -> Answer {
        let mut request = request(Method::POST, path);
        let key = JobId::random().encode().to_string();
        let key = key.parse().unwrap();
        request.headers_mut().insert("idempotency-key", key);
        self.send(request).await
    }

    pub(crate) async fn get(&self, url: &str) -> Answer {
        self.send(request(Method::GET, url)).await
    }

    /// Polls a job until it ends. No answer says that it is unknown.
    pub(crate) async fn ended(&self, url: &str) -> Answer {
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
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn state(&self) -> &str {
        self.header("job-status")
    }

    /// Returns the job's URL in a pending answer.
    #[track_caller]
    pub(crate) fn location(&self) -> &str {
        assert!(matches!(self.state(), "queued" | "running"), "{self:?}");
        let url = self.header(LOCATION.as_str());
        url.split('?').next().unwrap()
    }

    /// Returns the last part of the type of a problem.
    #[track_caller]
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let text = String::from_utf8_lossy(&self.body);
        let (_, kind) = text.split_once(r#""type":""#).unwrap();
        let kind = kind.split('"').next().unwrap();
        kind.rsplit([':', '/', '#']).next().unwrap().to_owned()
    }
}

pub(crate) async fn send(app: &Router, request: Request<Body>) -> Answer {
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.collect().await.unwrap().to_bytes(),
    }
}

pub(crate) fn request(method: Method, uri: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(uri)
        .body(Body::empty())
        .unwrap()
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    until_async(what, async || holds()).await;
}

/// Waits until a condition holds that is found out.
pub(crate) async fn until_async(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < RECOVERY, "{what}");
        sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) fn id_of(url: &str) -> JobId {
    url.rsplit('/').next().unwrap().parse().unwrap()
}

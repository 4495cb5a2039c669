//! The readiness probe.

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, StatusCode, header::CACHE_CONTROL};
use tokio::time::timeout;
use tower::Service;
use tower_async_job_core::{Detail, JobId};

use crate::{
    answer,
    body::StoredBody,
    node::{housekeeping::keep_shared_house, state::Node},
    panics,
    resource::service::ResourceFuture,
};

/// The longest time for which an answer waits for the store. Probes often give up after a second.
const PATIENCE: Duration = Duration::from_millis(500);

/// The readiness of this node; see [`AsyncJobLayer::readiness`](crate::AsyncJobLayer::readiness).
///
/// ```
/// use http::{Request, StatusCode};
/// use tower::ServiceExt;
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let jobs = tower_async_job::AsyncJobLayer::new();
/// let response = jobs.readiness().oneshot(Request::new(())).await.unwrap();
/// assert_eq!(response.status(), StatusCode::OK);
/// # }
/// ```
#[derive(Clone)]
pub struct Readiness {
    node: Arc<Node>,
}

impl Readiness {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

impl<B> Service<Request<B>> for Readiness {
    type Response = Response<StoredBody>;
    type Error = Infallible;
    type Future = ResourceFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResourceFuture {
        keep_shared_house(&self.node);
        let is_strict = request.uri().query().is_some_and(asks_strictly);
        let node = self.node.clone();
        ResourceFuture::new(Box::pin(async move {
            if node.shutdown.begun.is_set() {
                return text(StatusCode::SERVICE_UNAVAILABLE, "shutting down\n");
            }
            if is_strict || !node.health.is_available() {
                probe(&node).await;
            }
            let (health, limit) = (&node.health, node.config.unready_after);
            let is_ready = match is_strict {
                true => health.is_available(),
                false => health.is_reached() && !limit.is_some_and(|time| health.is_cut_off(time)),
            };
            match is_ready {
                true => text(StatusCode::OK, "ready\n"),
                false => answer::unavailable(),
            }
        }))
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness")
            .field("stopping", &self.node.shutdown.begun.is_set())
            .finish_non_exhaustive()
    }
}

fn asks_strictly(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "strict")
}

/// Reads a job that does not exist, unless the store was called within the last second.
async fn probe(node: &Arc<Node>) {
    if !node.health.may_probe() {
        return;
    }
    let read = {
        let node = node.clone();
        async move {
            let id = JobId::random();
            let read = node.store.read(&id, Detail::Status);
            let _ = panics::logged("the job store", read).await;
        }
    };
    // In a task, so that a client that gives up does not hide a store that does not answer.
    let _ = timeout(PATIENCE, tokio::spawn(read)).await;
}

fn text(status: StatusCode, text: &'static str) -> Response<StoredBody> {
    let response = Response::builder()
        .status(status)
        .header(CACHE_CONTROL, "no-store")
        .body(StoredBody::from(text));
    response.expect("the parts are valid")
}

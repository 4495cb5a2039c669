use std::{
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, StatusCode, header::CACHE_CONTROL};
use tower::Service;

use crate::{
    body::StoredBody,
    node::{housekeeping::keep_shared_house, state::Node},
};

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
    type Future = Ready<Result<Response<StoredBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        keep_shared_house(&self.node);
        let (status, text) = if self.node.shutdown.begun.is_set() {
            (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n")
        } else {
            (StatusCode::OK, "ready\n")
        };
        let response = Response::builder()
            .status(status)
            .header(CACHE_CONTROL, "no-store")
            .body(StoredBody::from(text));
        ready(Ok(response.expect("the parts are valid")))
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness")
            .field("stopping", &self.node.shutdown.begun.is_set())
            .finish_non_exhaustive()
    }
}

//! Workers: they run jobs again whose nodes have crashed, and those that fronts offer.

mod aside;
mod claim;
mod replay;

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower::{BoxError, Service};
use tower_async_job_core::ClaimQuery;

use crate::{
    body::{JobBody, StoredBody},
    node::{front::Front, housekeeping::keep_house},
};

/// The number of jobs that run at once by default.
const CONCURRENCY: usize = 64;

/// A worker, created by [`AsyncJobLayer::worker`](crate::AsyncJobLayer::worker).
///
/// ```no_run
/// use axum::{Router, routing::post};
/// use tower_async_job::AsyncJobLayer;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), tower_async_job::ConfigError> {
/// let routes: Router = Router::new().route("/report", post(|| async { "done" }));
/// let jobs = AsyncJobLayer::builder()
///     .replay_when(|request| request.uri.path() == "/report")
///     .build()?;
/// tokio::spawn(jobs.worker(routes.clone()).concurrency(8).run());
/// let app = routes.layer(jobs);
/// # drop(app);
/// # Ok(()) }
/// ```
#[must_use = "a worker does nothing until it runs"]
pub struct Worker<S> {
    front: Arc<Front>,
    service: S,
    concurrency: usize,
    query: ClaimQuery,
}

impl<S> Worker<S> {
    pub(crate) fn new(front: Arc<Front>, service: S) -> Self {
        Self {
            front,
            service,
            concurrency: CONCURRENCY,
            query: ClaimQuery::new(0),
        }
    }

    /// Sets the number of jobs that the worker runs at once. Default 64. The layer's
    /// [limits](crate::Builder::limits) apply too: a job is only claimed if there is a free place to
    /// run.
    pub fn concurrency(mut self, jobs: usize) -> Self {
        self.concurrency = jobs;
        self
    }

    /// Restricts the worker to jobs of these [routes](crate::Builder::route), by their names.
    /// Default: all.
    ///
    /// ```
    /// # let layer = tower_async_job::AsyncJobLayer::new();
    /// # let service = axum::Router::<()>::new();
    /// let worker = layer.worker(service).routes(["POST /report", "POST /export"]);
    /// # drop(worker);
    /// ```
    pub fn routes<T: Into<Arc<str>>>(mut self, routes: impl IntoIterator<Item = T>) -> Self {
        self.query = self.query.with_routes(routes);
        self
    }

    /// Runs the worker until the [shutdown](crate::AsyncJobLayer::shutdown) of the layer is over.
    ///
    /// It looks for jobs when the store announces some, or else about every second. Once the
    /// shutdown begins, it takes no more; its running jobs have the grace, and are then released to
    /// other workers. If the future is dropped, it takes no more jobs either, and those that run
    /// continue.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use std::time::Duration;
    ///
    /// let layer = tower_async_job::AsyncJobLayer::new();
    /// let worker = layer.worker(axum::Router::<()>::new());
    /// let running = tokio::spawn(worker.run());
    /// layer.shutdown(Duration::from_secs(30)).await;
    /// running.await.unwrap();
    /// # }
    /// ```
    pub async fn run<R>(self)
    where
        S: Service<Request<JobBody<StoredBody>>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError> + Send + 'static,
        R: Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BoxError>,
    {
        let node = self.front.node.clone();
        keep_house(&node);
        node.shutdown
            .begun
            .or(claim::all(
                self.front,
                self.service,
                self.query,
                self.concurrency,
            ))
            .await;
        node.shutdown.over.wait().await;
    }
}

impl<S> fmt::Debug for Worker<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("concurrency", &self.concurrency)
            .field("routes", &self.query.routes)
            .finish_non_exhaustive()
    }
}

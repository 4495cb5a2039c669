use std::{fmt, sync::Arc};

use tower::Layer;
use tower_async_job_core::JobStore;

use crate::{
    config::{Builder, Config},
    resource::JobResource,
    service::AsyncJob,
    shared::Shared,
};

/// Turns requests that take long into jobs that the client polls.
///
/// See the [crate's documentation](crate) for what it does and where it stands in a stack. All
/// services made from one layer and its clones share one state.
///
/// ```
/// use tower::ServiceBuilder;
/// use tower_async_job::AsyncJobLayer;
///
/// # async fn handle(_: http::Request<tower_async_job::JobBody<http_body_util::Empty<bytes::Bytes>>>)
/// # -> Result<http::Response<http_body_util::Empty<bytes::Bytes>>, std::convert::Infallible> { unimplemented!() }
/// let service = ServiceBuilder::new()
///     .layer(AsyncJobLayer::new())
///     .service_fn(handle);
/// ```
#[derive(Clone)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct AsyncJobLayer {
    shared: Arc<Shared>,
}

impl AsyncJobLayer {
    /// A layer with the defaults, and jobs kept in memory.
    ///
    /// ```
    /// let layer = tower_async_job::AsyncJobLayer::new();
    /// ```
    pub fn new() -> Self {
        Builder::new().build().expect("the defaults are valid")
    }

    /// Starts to set up a layer.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_async_job::AsyncJobLayer;
    ///
    /// let layer = AsyncJobLayer::builder()
    ///     .inline_wait(Duration::from_secs(5))
    ///     .build()?;
    /// # Ok::<(), tower_async_job::ConfigError>(())
    /// ```
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn from_parts(config: Config, store: Arc<dyn JobStore>) -> Self {
        Self {
            shared: Arc::new(Shared::new(config, store)),
        }
    }

    /// The job resource as a service of its own, to be mounted where requests for the base do not
    /// reach the layer: outside nested routers, or where the layer covers only some routes.
    ///
    /// It understands both the full path (`/work/{id}`) and the path below a mount point that the
    /// router has stripped (`/{id}`).
    ///
    /// ```
    /// use axum::{Router, routing::post};
    /// use tower_async_job::AsyncJobLayer;
    ///
    /// let jobs = AsyncJobLayer::builder().public_base("/api/work").build()?;
    /// let slow = Router::new()
    ///     .route("/report", post(|| async { "done" }))
    ///     .route_layer(jobs.clone());
    /// let app: Router = Router::new()
    ///     .nest("/api", slow)
    ///     .nest_service("/api/work", jobs.resource());
    /// # Ok::<(), tower_async_job::ConfigError>(())
    /// ```
    pub fn resource(&self) -> JobResource {
        JobResource::new(self.shared.clone())
    }

    /// Waits until no accepted job runs in this process any more: for the end of a server that has
    /// stopped accepting connections.
    ///
    /// Cancel safe, and jobs accepted meanwhile are waited for too.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let jobs = tower_async_job::AsyncJobLayer::new();
    /// // … serve with `jobs.clone()` until the shutdown signal …
    /// let patience = std::time::Duration::from_secs(30);
    /// let all_ended = tokio::time::timeout(patience, jobs.idle()).await.is_ok();
    /// # assert!(all_ended);
    /// # }
    /// ```
    pub async fn idle(&self) {
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl Default for AsyncJobLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for AsyncJobLayer {
    type Service = AsyncJob<S>;

    fn layer(&self, inner: S) -> AsyncJob<S> {
        AsyncJob::new(inner, self.shared.clone())
    }
}

impl fmt::Debug for AsyncJobLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncJobLayer")
            .field("base", &self.shared.config.base)
            .field("store", &self.shared.store)
            .finish_non_exhaustive()
    }
}

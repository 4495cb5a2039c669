use std::{fmt, sync::Arc, time::Duration};

use tokio::time::timeout_at;
use tower::Layer;

use crate::{
    node::{front::Front, losses},
    resource::{operator::OperatorResource, readiness::Readiness, service::JobResource},
    service::AsyncJob,
    time::later,
};

/// Turns requests that take long into jobs that the client polls.
///
/// See the [crate's documentation](crate) for what it does and where it stands in a stack. All
/// services made from one layer and its clones share one state. A layer within another passes through
/// what the outer one has taken.
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
///
/// # Handing a job back
///
/// A handler that cannot do its work now, or a service beneath such as a proxy whose upstream is out of
/// reach, answers with a [`Release`](crate::Release) among the extensions of its response. If the store
/// keeps the job's request, the job is queued again on these terms, and the response is dropped. If not,
/// or if the call is answered inline, the response is the answer as any other.
///
/// ```
/// use std::time::Duration;
/// use http::{Response, StatusCode};
/// use tower_async_job::Release;
///
/// let mut response = Response::new("the upstream refuses connections");
/// *response.status_mut() = StatusCode::BAD_GATEWAY;
/// let later = Release::default().with_after(Duration::from_secs(5)).with_counts(false);
/// response.extensions_mut().insert(later);
/// ```
#[derive(Clone)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct AsyncJobLayer {
    pub(crate) front: Arc<Front>,
}

impl AsyncJobLayer {
    /// The job resource as a service of its own, to be mounted as a route: then no fallback and no other
    /// route of the router comes before it, whenever it is set.
    ///
    /// ```
    /// use axum::{Router, routing::post};
    /// use tower_async_job::AsyncJobLayer;
    ///
    /// let jobs = AsyncJobLayer::new();
    /// let app: Router = Router::new()
    ///     .route("/report", post(|| async { "done" }))
    ///     .layer(jobs.clone())
    ///     .nest_service("/work", jobs.resource())
    ///     .fallback(|| async { "index.html" });
    /// ```
    ///
    /// It understands the whole path (`/work/{id}`, or under the [public
    /// base](crate::Builder::public_base)) and the path below a mount point that the router has
    /// stripped (`/{id}`), so that `route_service("/work/{*job}", …)` does too, and it can be mounted
    /// outside of a nested router:
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
        JobResource::new(self.front.clone())
    }

    /// The jobs for operators, as a service to be mounted behind authentication: a list with filters
    /// and paging, one job by its handle, and cancelling by handle. See [`OperatorResource`] for
    /// what it answers.
    ///
    /// Nothing of it is reachable unless it is mounted. **It asks nobody who they are**: whoever
    /// reaches it sees all jobs, whomever they belong to, and can cancel them.
    ///
    /// ```
    /// use axum::{Router, extract::Request, http::StatusCode, middleware::Next, routing::post};
    /// use tower_async_job::AsyncJobLayer;
    ///
    /// # fn is_operator(_: &Request) -> bool { true }
    /// async fn operators_only(request: Request, next: Next) -> axum::response::Response {
    ///     if is_operator(&request) {
    ///         next.run(request).await
    ///     } else {
    ///         axum::response::IntoResponse::into_response(StatusCode::FORBIDDEN)
    ///     }
    /// }
    ///
    /// let jobs = AsyncJobLayer::new();
    /// let operators = Router::new()
    ///     .nest_service("/admin/jobs", jobs.operator_resource())
    ///     .layer(axum::middleware::from_fn(operators_only));
    /// let app: Router = Router::new()
    ///     .route("/report", post(|| async { "done" }))
    ///     .layer(jobs)
    ///     .merge(operators);
    /// ```
    pub fn operator_resource(&self) -> OperatorResource {
        OperatorResource::new(self.front.clone())
    }

    /// Shuts down within a grace, and loses no result that its client would come for meanwhile.
    ///
    /// New submissions are refused with 503, over HTTP/1 with `Connection: close`, and the
    /// [readiness](Self::readiness) says no. Jobs run on, and polls are answered and held as ever:
    /// up to the job's end or the grace. Pending answers tell no delay beyond the grace.
    ///
    /// Resolves as soon as no job runs and every ended one has been delivered, but for those whose
    /// client has not come within the delay that it was told and 5 s. After the grace the handlers
    /// that still run are dropped and their jobs handed back to the store: where another node may run
    /// them it does, otherwise they are `lost`. Jobs that end with the process although their client
    /// was to come later are logged as warnings, by their handles.
    ///
    /// **The listener has to stay open until it resolves**, since clients come back by new connections.
    /// So it belongs into the signal that the server waits for, not behind the server's own shutdown:
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use axum::{Router, routing::post};
    /// use tokio::{net::TcpListener, signal::unix::{SignalKind, signal}};
    /// use tower_async_job::AsyncJobLayer;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
    /// let jobs = AsyncJobLayer::new();
    /// let app = Router::new()
    ///     .route("/report", post(|| async { "done" }))
    ///     .layer(jobs.clone());
    /// let mut terminate = signal(SignalKind::terminate())?;
    /// let listener = TcpListener::bind("127.0.0.1:3000").await?;
    /// axum::serve(listener, app)
    ///     .with_graceful_shutdown(async move {
    ///         terminate.recv().await;
    ///         jobs.shutdown(Duration::from_secs(30)).await;
    ///     })
    ///     .await
    /// # }
    /// ```
    ///
    /// The example `graceful-shutdown` has it for hyper and tonic too, with a second signal that ends
    /// the process at once.
    ///
    /// It may be called again: the shortest grace counts. Dropping the future leaves the layer
    /// shutting down, and running jobs to run on.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # async fn second_signal() { std::future::pending().await }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let jobs = tower_async_job::AsyncJobLayer::new();
    /// tokio::select! {
    ///     () = jobs.shutdown(Duration::from_secs(30)) => {}
    ///     () = second_signal() => jobs.shutdown(Duration::ZERO).await,
    /// }
    /// # }
    /// ```
    pub async fn shutdown(&self, grace: Duration) {
        let node = &self.front.node;
        let end = node.stop(later(grace));
        let delivered = node.shutdown.given_up.or(async {
            node.tasks.wait().await;
            node.expected.none().await;
        });
        if !matches!(timeout_at(end, delivered).await, Ok(Some(()))) {
            node.give_up().await;
            node.tasks.wait().await;
        }
        losses::log(node).await;
        node.shutdown.over.set();
    }

    /// Waits until no accepted job runs in this process, without shutting down: new ones are
    /// accepted meanwhile, and waited for too. Cancel safe.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// tower_async_job::AsyncJobLayer::new().idle().await;
    /// # }
    /// ```
    pub async fn idle(&self) {
        self.front.node.tasks.close();
        self.front.node.tasks.wait().await;
    }

    /// Whether this node takes on work, as a service to be mounted where a load balancer asks:
    /// 200, or 503 once it shuts down.
    ///
    /// ```
    /// let jobs = tower_async_job::AsyncJobLayer::new();
    /// let app: axum::Router = axum::Router::new().route_service("/ready", jobs.readiness());
    /// ```
    pub fn readiness(&self) -> Readiness {
        Readiness::new(self.front.node.clone())
    }
}

impl<S> Layer<S> for AsyncJobLayer {
    type Service = AsyncJob<S>;

    fn layer(&self, inner: S) -> AsyncJob<S> {
        AsyncJob::new(inner, self.front.clone())
    }
}

impl fmt::Debug for AsyncJobLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncJobLayer")
            .field("base", &self.front.config.base)
            .field("store", &self.front.node.store)
            .finish_non_exhaustive()
    }
}

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::timeout_at;
use tower::Layer;
use tower_async_job_core::JobHandle;

use crate::{
    node::{front::Front, housekeeping::keep_house, losses},
    notify::{
        Notifier,
        notification::{Notification, Notified},
    },
    outside::OutsideRun,
    resource::{operator::OperatorResource, readiness::Readiness, service::JobResource},
    service::AsyncJob,
    time::later,
    worker::Worker,
};

/// A layer that turns slow requests into jobs, which the client polls.
///
/// See the [crate's documentation](crate) for its behaviour and its place in a stack. All services
/// made from one layer and its clones share one state. A layer within another passes through the
/// requests that the outer one has taken.
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
/// # Releasing a job
///
/// A handler that cannot do its work now, or an inner service such as a proxy whose upstream is
/// unreachable, answers with a [`Release`](crate::Release) in the extensions of its response. If
/// the store keeps the job's request, the job is queued again on these terms, and the response is
/// dropped. Otherwise, or if the call is answered inline, the response is the answer as usual.
///
/// A release to an [outside](crate::OutsideRun) party needs no kept request, and makes a job of the
/// call at once, without the rest of its inline wait.
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
    /// Returns the job resource as a service, to be mounted as a route: then no fallback or other
    /// route of the router precedes it.
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
    /// It accepts the whole path (`/work/{id}`, or under the [public
    /// base](crate::Builder::public_base)) and the path below a mount point that the router has
    /// stripped (`/{id}`). So `route_service("/work/{*job}", …)` works too, and it can be mounted
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

    /// Returns the operator resource, to be mounted behind authentication: a list of jobs with
    /// filters and paging, one job by its handle, and cancelling by handle. See
    /// [`OperatorResource`].
    ///
    /// It is unreachable unless mounted. **It performs no authentication**: every client that can
    /// reach it can list and cancel every job, of all principals.
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

    /// Shuts down within a grace, without losing results that their clients fetch in that time.
    ///
    /// New submissions are refused with 503, over HTTP/1 with `Connection: close`, and the
    /// [readiness](Self::readiness) answers 503. Until the end of the grace, running jobs continue,
    /// and polls are answered and held as before. Delays of pending answers do not exceed the
    /// grace.
    ///
    /// Resolves as soon as no job runs and each ended job has been delivered. A job whose client is
    /// more than 5 s late for its announced delay is not waited for. After the grace, handlers that
    /// still run are dropped and their jobs released to the store: another node re-runs those that
    /// it can, and the others become `lost`. Jobs that end with the process before their client was
    /// due are logged as warnings, by their handles.
    ///
    /// **The listener must stay open until it resolves**, since clients poll over new connections.
    /// So await it in the shutdown signal that the server takes, not after the server's own
    /// shutdown:
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
    ///         jobs.shutdown(Duration::from_secs(25)).await;
    ///     })
    ///     .await
    /// # }
    /// ```
    ///
    /// The example `graceful-shutdown` shows it for hyper and tonic too, with a second signal that
    /// ends the process at once.
    ///
    /// It may be called again; the shortest grace applies. If the future is dropped, the layer
    /// stays in shutdown and running jobs continue.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # async fn second_signal() { std::future::pending().await }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let jobs = tower_async_job::AsyncJobLayer::new();
    /// tokio::select! {
    ///     () = jobs.shutdown(Duration::from_secs(25)) => {}
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

    /// Runs the maintenance of the store until the [shutdown](Self::shutdown) is over: expired records
    /// are removed, and the jobs of nodes that have died are queued again or end as lost.
    ///
    /// On a store that is [shared](crate::store::StoreProperties::shared) or has
    /// [leases](crate::store::StoreProperties::lease), the first call of any kind starts the same
    /// maintenance. Await or spawn this on nodes that may not receive a call. On other stores,
    /// maintenance starts with each job, and this only waits. Dropping the future stops nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use std::time::Duration;
    ///
    /// let jobs = tower_async_job::AsyncJobLayer::new();
    /// let running = tokio::spawn({
    ///     let jobs = jobs.clone();
    ///     async move { jobs.run().await }
    /// });
    /// jobs.shutdown(Duration::from_secs(25)).await;
    /// running.await.unwrap();
    /// # }
    /// ```
    pub async fn run(&self) {
        keep_house(&self.front.node);
        self.front.node.shutdown.over.wait().await;
    }

    /// Waits until no accepted job runs in this process, without shutting down. Jobs accepted
    /// meanwhile are waited for too. Cancel safe.
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

    /// Returns a worker, which runs the requests of jobs that the store keeps: those whose nodes have
    /// crashed or shut down, and those that [fronts](crate::Role::Front) offer. See
    /// [`replay_when`](crate::Builder::replay_when).
    ///
    /// It is given the application's routes, as they are within the layer, so that a request is
    /// routed again: in axum, path parameters and the like are available. Services around the routes
    /// are not called, such as one for authentication. If this layer is within the routes, it passes
    /// such requests through.
    ///
    /// ```no_run
    /// use axum::{Router, routing::post};
    /// use tower_async_job::AsyncJobLayer;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let store = tower_async_job::store::MemoryStore::new();
    /// let routes: Router = Router::new().route("/report/{year}", post(|| async { "done" }));
    /// let jobs = AsyncJobLayer::builder()
    ///     .store(store)
    ///     .replay_when(|request| request.uri.path().starts_with("/report/"))
    ///     .build()?;
    /// tokio::spawn(jobs.worker(routes.clone()).run());
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    /// axum::serve(listener, routes.layer(jobs)).await?;
    /// # Ok(()) }
    /// ```
    pub fn worker<S>(&self, routes: S) -> Worker<S> {
        Worker::new(self.front.clone(), routes)
    }

    /// Returns a notifier, which notifies of the ends of jobs by this function; see
    /// [`notify_when`](crate::Builder::notify_when).
    ///
    /// The function is given each notification that is due, and tells whether the receiver has it,
    /// or when to attempt it again. Several are sent at once, in no order. Any number of nodes may
    /// run a notifier. Each attempt belongs to one of them for three quarters of a lease (45 s if
    /// leases have no duration): then it is dropped, and made again later. After a crash in the
    /// middle, another node makes it again, so the receiver may have the same notification more
    /// than once; [`handle`](crate::Notification::handle) tells them apart.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use std::time::Duration;
    /// use tower_async_job::{AsyncJobLayer, Notification, Notified};
    ///
    /// # async fn post_to_hook(_: &Notification) -> Result<(), std::io::Error> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), tower_async_job::ConfigError> {
    /// let jobs = AsyncJobLayer::builder()
    ///     .notify_when(|_| Ok(Some(Bytes::from_static(b"hook 1"))))
    ///     .build()?;
    /// let notifier = jobs.notifier(async |notification: Notification| {
    ///     match post_to_hook(&notification).await {
    ///         Ok(()) => Notified::Done,
    ///         Err(_) => Notified::Again(Duration::from_secs(5)),
    ///     }
    /// });
    /// tokio::spawn(notifier.run());
    /// # Ok(()) }
    /// ```
    pub fn notifier<F, Fut>(&self, send: F) -> Notifier<F>
    where
        F: Fn(Notification) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Notified> + Send + 'static,
    {
        Notifier::new(self.front.clone(), send)
    }

    /// Returns a run that an outside party continues, by the job's handle, the number of the
    /// attempt that was left to it, and its token; see [`OutsideRun`]. Nothing is checked yet.
    ///
    /// ```
    /// use tower_async_job::{AsyncJobLayer, store::JobHandle};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let jobs = AsyncJobLayer::new();
    /// let run = jobs.outside(JobHandle::random(), 1, "4f0c…");
    /// assert!(run.resume().await.unwrap_err().is_unknown());
    /// # }
    /// ```
    pub fn outside(&self, handle: JobHandle, attempt: u32, token: impl AsRef<[u8]>) -> OutsideRun {
        OutsideRun::new(self.front.clone(), handle, attempt, token.as_ref())
    }

    /// Returns a service for the readiness probe of a load balancer: 200 while this node accepts
    /// work, and 503 once it shuts down, until the store has answered for the first time, or while
    /// this node alone is [cut off](crate::Builder::unready_after) from it, if that is set.
    ///
    /// Otherwise a node stays ready while its store is unavailable: clients then get 503 with
    /// Retry-After from it, and no answer from a load balancer without nodes. With the parameter
    /// `strict`, as in `/readyz?strict`, the answer is 503 with a problem document while the store
    /// is unavailable, for monitoring.
    ///
    /// It tells what the node's own calls have found. If the latest is older than a second, and the
    /// answer depends on it, a probe reads an unknown job, and waits for that at most half a second;
    /// so the store is called at most once per second, however often the probe is.
    ///
    /// Do not use it for liveness: a restart helps against none of these.
    ///
    /// ```
    /// let jobs = tower_async_job::AsyncJobLayer::new();
    /// let app: axum::Router = axum::Router::new().route_service("/readyz", jobs.readiness());
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

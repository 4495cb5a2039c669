use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use http_polling::RequestHead;
use tower_async_job_core::{JobStore, MemoryStore, Principal, QueueLimit};

use crate::{
    config::{
        Config, JobFuture, NodeConfig, OnDisconnect, OnStoreFailure, Role, limits::HoldLimits,
        policy::Policy,
    },
    estimate::{Estimator, Learned},
    layer::AsyncJobLayer,
    node::front::Front,
};

mod deferring;
mod error;
mod events;
mod kept;
mod limits;
mod listing;
mod notifying;
mod operating;
mod replaying;
mod uploads;

pub use self::error::ConfigError;
use self::error::Reason;

impl AsyncJobLayer {
    /// Creates a layer with the defaults, and with jobs kept in memory.
    ///
    /// ```
    /// let layer = tower_async_job::AsyncJobLayer::new();
    /// ```
    pub fn new() -> Self {
        Builder::new().build().expect("the defaults are valid")
    }

    /// Returns a builder of a layer.
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
}

impl Default for AsyncJobLayer {
    fn default() -> Self {
        Self::new()
    }
}

/// A builder of [`AsyncJobLayer`]s.
///
/// ```
/// use std::time::Duration;
/// use tower_async_job::{AsyncJobLayer, PendingStatus};
///
/// let layer = AsyncJobLayer::builder()
///     .inline_wait(Duration::from_millis(200))
///     .base("/jobs")
///     .pending_status(PendingStatus::Accepted)
///     .defer_when(|request| request.uri.path().starts_with("/reports"))
///     .build()?;
/// # Ok::<(), tower_async_job::ConfigError>(())
/// ```
#[must_use = "a builder does nothing until built"]
pub struct Builder {
    config: Config,
    node: NodeConfig,
    public_base: Option<Box<str>>,
    store: Option<Arc<dyn JobStore>>,
}

impl Builder {
    fn new() -> Self {
        Self {
            config: Config {
                base: "/work".into(),
                public_base: "/work".into(),
                policy: Policy::default(),
                policies: None,
                max_inline_wait: Duration::from_secs(25),
                only_when_asked: false,
                predicate: None,
                replay: None,
                extensions: Vec::new(),
                notification: None,
                role: Role::default(),
                refuse_local: false,
                context: true,
                on_disconnect: OnDisconnect::default(),
                on_store_failure: OnStoreFailure::default(),
                spool_room: 256 << 20,
                spool_room_per_principal: 64 << 20,
                path_limit: 8 << 10,
                principal_limit: 1 << 10,
                limits: None,
                limits_per_principal: None,
                max_hold: Duration::from_secs(25),
                queue_limit: QueueLimit::NONE,
                hold_limits: HoldLimits {
                    overall: 10_000,
                    per_principal: 100,
                },
                close_connections_from: Some(Duration::from_secs(15)),
                principal: None,
                lists_own_jobs: false,
                page: true,
                events: false,
                route: None,
            },
            node: NodeConfig {
                name: None,
                unready_after: None,
                has_principals: false,
                result_limit: 0,
                recording_room: 256 << 20,
                report_limit: 2 << 20,
                retention_after_delivery: None,
                cancellation_grace: Duration::from_secs(5),
                report_interval: Duration::from_millis(100),
                streams: None,
                estimator: Box::new(Learned::new()),
                wrap: None,
            },
            public_base: None,
            store: None,
        }
    }

    /// Sets the path under which the layer serves jobs. Default `/work`.
    pub fn base(mut self, base: &str) -> Self {
        self.config.base = base.trim_end_matches('/').into();
        self
    }

    /// Sets the base as clients see it, if it differs from what the layer sees: behind a prefix
    /// that a router or proxy strips (`/api/work`), or absolute (`https://api.example/work`).
    /// Default: the base, so that `Location` is path-absolute and cannot be spoofed by a Host
    /// header.
    pub fn public_base(mut self, base: &str) -> Self {
        self.public_base = Some(base.trim_end_matches('/').into());
        self
    }

    /// Sets the store that keeps jobs. Default: a [`MemoryStore`] with its default limits and
    /// tokio's clock, which tests can pause.
    pub fn store(mut self, store: impl JobStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Sets the estimator of the Retry-After of pending answers. Default [`Learned`], which learns
    /// from the durations of past jobs of the same [route](Self::route).
    pub fn estimator(mut self, estimator: impl Estimator) -> Self {
        self.node.estimator = Box::new(estimator);
        self
    }

    /// Sets the function that names a request's route: jobs of one route are expected to take
    /// equally long, and operators' lists show it. Default: the method and the path. If paths carry
    /// ids, use the template that they match:
    ///
    /// ```
    /// use axum::extract::MatchedPath;
    /// use tower_async_job::AsyncJobLayer;
    ///
    /// let layer = AsyncJobLayer::builder()
    ///     .route(|request| match request.extensions.get::<MatchedPath>() {
    ///         Some(path) => format!("{} {}", request.method, path.as_str()),
    ///         None => request.method.to_string(),
    ///     })
    ///     .build()?;
    /// # Ok::<(), tower_async_job::ConfigError>(())
    /// ```
    ///
    /// It is called for each request that may become a job or that is limited. In axum, the matched
    /// path is available to layers added by `Router::layer` and `Router::route_layer`, not to those
    /// around the router.
    pub fn route<R: Into<Arc<str>>>(
        mut self,
        route: impl Fn(RequestHead<'_>) -> R + Send + Sync + 'static,
    ) -> Self {
        self.config.route = Some(Box::new(move |request| route(request).into()));
        self
    }

    /// Binds jobs to the principal that the function finds in the request that submits them, such
    /// as the user that an outer authentication layer has left in the extensions. Only requests of
    /// the same principal see the job. A job without a principal is seen by every client that has
    /// its id, and shares one space of idempotency keys with all such jobs. Default: no principals;
    /// an id suffices.
    ///
    /// ```
    /// use tower_async_job::{AsyncJobLayer, store::Principal};
    ///
    /// #[derive(Clone)]
    /// struct User(String);
    ///
    /// let layer = AsyncJobLayer::builder()
    ///     .principal(|request| Some(Principal::new(&*request.extensions.get::<User>()?.0)))
    ///     .build()?;
    /// # Ok::<(), tower_async_job::ConfigError>(())
    /// ```
    pub fn principal(
        mut self,
        find: impl Fn(RequestHead<'_>) -> Option<Principal> + Send + Sync + 'static,
    ) -> Self {
        self.config.principal = Some(Box::new(find));
        self
    }

    /// Sets whether a browser that navigates is shown a small page while the job is pending: 200
    /// with `Refresh`, since browsers follow a 303 at once and ignore Retry-After. Default yes.
    ///
    /// A navigation has `Sec-Fetch-Mode: navigate` or `Sec-Fetch-Dest: document`, or, without any
    /// `Sec-Fetch-*` field, `Upgrade-Insecure-Requests: 1`; and its Accept prefers HTML to JSON
    /// (RFC 9110, section 12.5.1). Other programs that accept HTML get no page.
    pub fn page(mut self, enabled: bool) -> Self {
        self.config.page = enabled;
        self
    }

    /// Wraps the future of each job when it leaves the connection for the background, to carry
    /// task-locals along. The current `tracing` span is carried without it.
    ///
    /// ```
    /// use tower_async_job::AsyncJobLayer;
    ///
    /// tokio::task_local! { static TENANT: u32; }
    ///
    /// let layer = AsyncJobLayer::builder()
    ///     .wrap_job(|job| match TENANT.try_get() {
    ///         Ok(tenant) => Box::pin(TENANT.scope(tenant, job)),
    ///         Err(_) => job,
    ///     })
    ///     .build()?;
    /// # Ok::<(), tower_async_job::ConfigError>(())
    /// ```
    pub fn wrap_job(
        mut self,
        wrap: impl Fn(JobFuture) -> JobFuture + Send + Sync + 'static,
    ) -> Self {
        self.node.wrap = Some(Box::new(wrap));
        self
    }

    /// Builds the layer.
    ///
    /// # Errors
    ///
    /// Fails if the base is not a path that starts with `/` and names a segment, if the public base
    /// is not valid in a header, if a limit is zero and would refuse every request, or if [own
    /// jobs](Self::list_own_jobs) are listed without a function for [principals](Self::principal).
    pub fn build(mut self) -> Result<AsyncJobLayer, ConfigError> {
        let base = &self.config.base;
        if !base.starts_with('/')
            || base.parse::<http::uri::PathAndQuery>().is_err()
            || base.contains('?')
        {
            return Err(ConfigError(Reason::Base));
        }
        self.config.public_base = self.public_base.unwrap_or_else(|| base.clone());
        if self.config.public_base.parse::<http::Uri>().is_err()
            || self.config.public_base.contains('?')
        {
            return Err(ConfigError(Reason::PublicBase));
        }
        let limits = [self.config.limits, self.config.limits_per_principal];
        if limits.iter().flatten().any(|limits| limits.running == 0) {
            return Err(ConfigError(Reason::NothingRuns));
        }
        if self.config.lists_own_jobs && self.config.principal.is_none() {
            return Err(ConfigError(Reason::OwnJobsOfNone));
        }
        self.node.result_limit = self.config.policy.result_limit;
        self.node.has_principals = self.config.principal.is_some();
        self.node.streams = self.node.streams.or_else(|| default_streams(&self.config));
        let store = self.store.unwrap_or_else(default_store);
        let front = Front::new(self.config, self.node, store);
        Ok(AsyncJobLayer {
            front: Arc::new(front),
        })
    }
}

/// Returns a memory store on tokio's clock, which tests can pause.
fn default_store() -> Arc<dyn JobStore> {
    let clock = || -> Instant { tokio::time::Instant::now().into_std() };
    Arc::new(MemoryStore::builder().clock(clock).build())
}

/// Returns the limits of streams if none are set: `None` unless requests are limited.
fn default_streams(config: &Config) -> Option<HoldLimits> {
    let of_each = config.limits_per_principal.map(|_| 100);
    (config.limits.is_some() || of_each.is_some()).then_some(HoldLimits {
        overall: 10_000,
        per_principal: of_each.unwrap_or(usize::MAX),
    })
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("base", &self.config.base)
            .field("inline_wait", &self.config.policy.inline_wait)
            .finish_non_exhaustive()
    }
}

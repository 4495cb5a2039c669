use std::{
    error::Error,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use http_polling::RequestHead;
use tower_async_job_core::{JobStore, MemoryStore, Principal, Retention};

use crate::{
    config::{
        Config, JobFuture, NodeConfig, OnDisconnect, OnStoreFailure, PendingStatus,
        limits::{HoldLimits, Limits, Pace},
    },
    estimate::{Estimator, Learned},
    layer::AsyncJobLayer,
    node::front::Front,
};

mod kept;

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
}

impl Default for AsyncJobLayer {
    fn default() -> Self {
        Self::new()
    }
}

/// Sets up an [`AsyncJobLayer`].
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
                pending_status: PendingStatus::default(),
                inline_wait: Duration::from_secs(1),
                max_inline_wait: Duration::from_secs(25),
                only_when_asked: false,
                predicate: None,
                context: true,
                on_disconnect: OnDisconnect::default(),
                on_store_failure: OnStoreFailure::default(),
                request_spool: 2 << 20,
                spool_room: 256 << 20,
                spool_room_per_principal: 64 << 20,
                refuse_large_requests: false,
                request_pace: Pace {
                    still: Duration::from_secs(30),
                    total: Duration::from_secs(600),
                    rate: 500,
                },
                path_limit: 8 << 10,
                principal_limit: 1 << 10,
                job_deadline: Duration::from_secs(3600),
                deadline_is_set: false,
                limits: None,
                limits_per_principal: None,
                max_hold: Duration::from_secs(25),
                hold_limits: HoldLimits {
                    overall: 10_000,
                    per_principal: 100,
                },
                close_connections_from: Some(Duration::from_secs(15)),
                principal: None,
                page: true,
                route: None,
            },
            node: NodeConfig {
                has_principals: false,
                result_limit: 16 << 20,
                recording_room: 256 << 20,
                report_limit: 2 << 20,
                retention: Retention::default(),
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

    /// How long a handler may take before its request becomes a job. Default 1 s. Zero defers
    /// whatever is not ready at once.
    pub fn inline_wait(mut self, wait: Duration) -> Self {
        self.config.inline_wait = wait;
        self
    }

    /// The longest inline wait that a client gets by `Prefer: wait=N` (RFC 7240, section 4.3).
    /// Default 25 s, below the usual clocks of proxies.
    pub fn max_inline_wait(mut self, wait: Duration) -> Self {
        self.config.max_inline_wait = wait;
        self
    }

    /// The path under which the layer answers for jobs. Default `/work`.
    pub fn base(mut self, base: &str) -> Self {
        self.config.base = base.trim_end_matches('/').into();
        self
    }

    /// What clients see of the base, when it differs from what the layer sees: behind a prefix
    /// that a router or proxy strips (`/api/work`), or absolute (`https://api.example/work`).
    /// Default: the base, so that `Location` is path-absolute and no Host header can spoof it.
    pub fn public_base(mut self, base: &str) -> Self {
        self.public_base = Some(base.trim_end_matches('/').into());
        self
    }

    /// How pending jobs are announced. Default 303.
    pub fn pending_status(mut self, status: PendingStatus) -> Self {
        self.config.pending_status = status;
        self
    }

    /// Where jobs are kept. Default: a [`MemoryStore`] with its default limits and tokio's clock,
    /// so that tests can pause it.
    pub fn store(mut self, store: Arc<dyn JobStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Chooses the Retry-After of pending answers. Default [`Learned`], which learns from the
    /// durations of past jobs of the same [route](Self::route).
    pub fn estimator(mut self, estimator: impl Estimator) -> Self {
        self.node.estimator = Box::new(estimator);
        self
    }

    /// What the jobs that take equally long have in common; operators' lists show it too. Default:
    /// the method and the path. Where paths carry ids, the template they are matched by says more:
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
    /// It is asked for each request that may become a job, or is limited. In axum the matched path is there for
    /// layers added by `Router::layer` and `Router::route_layer`, not for those around the router.
    pub fn route<R: Into<Arc<str>>>(
        mut self,
        route: impl Fn(RequestHead<'_>) -> R + Send + Sync + 'static,
    ) -> Self {
        self.config.route = Some(Box::new(move |request| route(request).into()));
        self
    }

    /// Which requests may be deferred at all; the others are answered inline, however long it takes.
    /// By default all, but for those that can never be: HEAD, OPTIONS, TRACE, CONNECT, upgrades,
    /// those that accept an event stream, and gRPC calls that do not ask with
    /// `Prefer: respond-async`.
    ///
    /// Limits, deadlines and idempotency keys hold for requests that are not deferred too. What is to
    /// be free of them, such as a health check, is routed around the layer.
    pub fn defer_when(
        mut self,
        predicate: impl Fn(RequestHead<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.config.predicate = Some(Box::new(predicate));
        self
    }

    /// Defers only requests that ask with `Prefer: respond-async` (RFC 7240, section 4.1), as is
    /// always so for gRPC.
    pub fn only_when_asked(mut self) -> Self {
        self.config.only_when_asked = true;
        self
    }

    /// Leaves [`JobContext`](crate::JobContext) out of the requests' extensions, which saves its
    /// four allocations where no handler takes it.
    ///
    /// A layer within this one recognises by it the requests that it is to pass through. Without it,
    /// only those are recognised that have an idempotency key or are counted for
    /// [limits](Self::limits).
    pub fn without_context(mut self) -> Self {
        self.config.context = false;
        self
    }

    /// What becomes of a request whose client goes away before it is accepted. Default: cancelled.
    /// An accepted job runs on in any case.
    pub fn on_disconnect(mut self, policy: OnDisconnect) -> Self {
        self.config.on_disconnect = policy;
        self
    }

    /// What is done when the store refuses a job whose handler has begun. Default: the call stays
    /// inline.
    pub fn on_store_failure(mut self, policy: OnStoreFailure) -> Self {
        self.config.on_store_failure = policy;
        self
    }

    /// How many bytes of an upload still unread by the handler are kept in memory when its request
    /// is deferred. Over it the call stays inline. Default 2 MiB.
    pub fn request_spool(mut self, bytes: usize) -> Self {
        self.config.request_spool = bytes;
        self
    }

    /// How many bytes the spooled uploads of all requests may take together. Beyond it calls stay
    /// inline, and those with an idempotency key are refused with 503. Default 256 MiB.
    pub fn spool_room(mut self, bytes: usize) -> Self {
        self.config.spool_room = bytes;
        self
    }

    /// Limits the bytes that the spooled uploads of one [principal](Self::principal) may take. Beyond
    /// them its calls stay inline, and those with an idempotency key are refused with 429. Default 64 MiB.
    ///
    /// ```
    /// use tower_async_job::AsyncJobLayer;
    ///
    /// let layer = AsyncJobLayer::builder().spool_room_per_principal(8 << 20).build()?;
    /// # Ok::<(), tower_async_job::ConfigError>(())
    /// ```
    pub fn spool_room_per_principal(mut self, bytes: usize) -> Self {
        self.config.spool_room_per_principal = bytes;
        self
    }

    /// Refuses a request whose Content-Length is over the spool with 413 before the handler is
    /// called, instead of keeping it inline.
    pub fn refuse_large_requests(mut self) -> Self {
        self.config.refuse_large_requests = true;
        self
    }

    /// The time that an upload may stand still, before the request is given up with 408 and no job.
    /// Default 30 s.
    ///
    /// This and the two settings that follow hold until the handler's response is there, or the
    /// request has become a job, and they count the time only in which the handler, or the layer,
    /// waits for the client. They hold for requests that may be deferred, have an idempotency key, or
    /// take a place among the [limits](Self::limits): a gRPC call that streams to a server with limits
    /// for long, and little, needs other settings.
    pub fn request_read_timeout(mut self, timeout: Duration) -> Self {
        self.config.request_pace.still = timeout;
        self
    }

    /// The bytes of an upload that have to come in a second, on average, after its first
    /// [30 s](Self::request_read_timeout): each of so many bytes gives it a second more. An upload
    /// that is slower is given up as one that stands still. Default 500, as of Apache's
    /// `mod_reqtimeout` (`body=20,MinRate=500`); Kestrel's is 240. Even GSM at 9,600 bit/s is
    /// faster. Zero asks for no rate.
    ///
    /// ```
    /// use tower_async_job::AsyncJobLayer;
    ///
    /// let layer = AsyncJobLayer::builder().request_read_rate(5_000).build()?;
    /// # Ok::<(), tower_async_job::ConfigError>(())
    /// ```
    pub fn request_read_rate(mut self, bytes_per_second: u32) -> Self {
        self.config.request_pace.rate = bytes_per_second;
        self
    }

    /// Limits the time that an upload is waited for altogether, however fast it is. Default 10 min, in which
    /// 30 MB come at 50 kB/s; the whole request has 5 min in Node's `server.requestTimeout`. Where
    /// larger files are uploaded through the layer, it has to be longer.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_async_job::AsyncJobLayer;
    ///
    /// let layer = AsyncJobLayer::builder()
    ///     .request_read_deadline(Duration::from_secs(3600))
    ///     .build()?;
    /// # Ok::<(), tower_async_job::ConfigError>(())
    /// ```
    pub fn request_read_deadline(mut self, time: Duration) -> Self {
        self.config.request_pace.total = time;
        self
    }

    /// How many bytes of a deferred response's body are stored; a longer one ends the job as
    /// failed, with a problem that says so. Default 16 MiB. The store has a limit of its own for all
    /// results together.
    pub fn result_limit(mut self, bytes: usize) -> Self {
        self.node.result_limit = bytes;
        self
    }

    /// How long results, and after them tombstones, are kept. Default 1 h each.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.node.retention = retention;
        self
    }

    /// The time that a job may take from its acceptance before it ends as timed-out. Default 1 h. A
    /// request that stays inline is given up after the same time, with 504. The default holds for
    /// requests that are never deferred only where there are [limits](Self::limits).
    pub fn job_deadline(mut self, deadline: Duration) -> Self {
        self.config.job_deadline = deadline;
        self.config.deadline_is_set = true;
        self
    }

    /// How long the handler of a cancelled job has to notice, before its future is dropped.
    /// Default 5 s.
    pub fn cancellation_grace(mut self, grace: Duration) -> Self {
        self.node.cancellation_grace = grace;
        self
    }

    /// At most how often the reports of one job are written to the store. Default 100 ms.
    pub fn report_interval(mut self, interval: Duration) -> Self {
        self.node.report_interval = interval;
        self
    }

    /// The numbers of requests that are worked on at once, and that may wait for it (the jobs of those
    /// that may be deferred are `queued`). Beyond both, requests are refused with 503 and
    /// Retry-After before their handler is called. Default: no limit.
    ///
    /// Requests that are never deferred count too. An answer that is given inline has its place until
    /// its head is there; websockets and event streams then have a [limit of their own](Self::streams).
    pub fn limits(mut self, max_running: usize, max_queued: usize) -> Self {
        self.config.limits = Some(Limits {
            running: max_running,
            queued: max_queued,
        });
        self
    }

    /// The same for each [principal](Self::principal), beyond which its requests are refused with
    /// 429 and Retry-After, while those of others are not affected. Whoever waits has his turn:
    /// nobody waits behind another's queue. Default: no limit.
    pub fn limits_per_principal(mut self, max_running: usize, max_queued: usize) -> Self {
        self.config.limits_per_principal = Some(Limits {
            running: max_running,
            queued: max_queued,
        });
        self
    }

    /// Limits the websockets and event streams that are open at once, of all clients and of one
    /// [principal](Self::principal): answers with 101 or, to CONNECT, of success, and such of the
    /// type `text/event-stream`. When their head is there they leave their place among the
    /// [running requests](Self::limits) for one of these. Beyond them they are refused with 503, and
    /// those of a principal with 429, in place of the handler's answer. An event stream that is the answer
    /// of a job counts too while it is stored, and beyond the limits its job fails.
    ///
    /// Default: none without limits of requests; with them 10,000, and 100 per principal where
    /// [these are limited](Self::limits_per_principal). The place of an event stream is given back
    /// with the end of its body; that of a websocket as [`StreamPlace`](crate::StreamPlace) says.
    ///
    /// ```
    /// use tower_async_job::AsyncJobLayer;
    ///
    /// let layer = AsyncJobLayer::builder().limits(64, 1_000).streams(5_000, 20).build()?;
    /// # Ok::<(), tower_async_job::ConfigError>(())
    /// ```
    pub fn streams(mut self, overall: usize, per_principal: usize) -> Self {
        self.node.streams = Some(HoldLimits {
            overall,
            per_principal,
        });
        self
    }

    /// The longest that a poll is held: one that asks with `Prefer: wait=N`, or one of a client that
    /// follows redirects without minding Retry-After. Default 25 s, below the usual clocks of
    /// proxies. Zero holds none.
    pub fn max_hold(mut self, time: Duration) -> Self {
        self.config.max_hold = time;
        self
    }

    /// How many polls are held at once, of all clients and of one principal; repeats of a request
    /// with an idempotency key, within the inline wait, count as such. Beyond them a poll
    /// that asked to wait is answered at once, and one that comes too early with 429. Default
    /// 10,000, and 100 per principal.
    pub fn hold_limits(mut self, overall: usize, per_principal: usize) -> Self {
        self.config.hold_limits = HoldLimits {
            overall,
            per_principal,
        };
        self
    }

    /// The shortest delay after which a pending answer over HTTP/1.1 carries `Connection: close`, so
    /// that no socket is open while the client waits. Default 15 s.
    ///
    /// Connections stay open where the delay is a [guess](Estimator::is_guess), over all other
    /// versions of HTTP, where the request has `Via`, `Forwarded` or any `X-Forwarded-*` header and so comes
    /// over a proxy's pool, and where the client does not wait until it is due: when its poll came
    /// early or was held, or when it is a browser that is shown the page.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_async_job::AsyncJobLayer;
    ///
    /// let layer = AsyncJobLayer::builder()
    ///     .close_connections_from(Duration::from_secs(5))
    ///     .build()?;
    /// # Ok::<(), tower_async_job::ConfigError>(())
    /// ```
    pub fn close_connections_from(mut self, delay: Duration) -> Self {
        self.config.close_connections_from = Some(delay);
        self
    }

    /// Leaves all connections open while clients wait: behind a proxy, say, that keeps a pool of
    /// connections and adds none of the headers that proxies are known by.
    pub fn keep_connections(mut self) -> Self {
        self.config.close_connections_from = None;
        self
    }

    /// Binds jobs to whoever submits them: the principal that the function finds in a request, in
    /// the extensions that an authentication layer outside has left, say. Only requests of the
    /// same principal see the job; to all others it is unknown. A job submitted without a
    /// principal is seen by whoever has its id, and its idempotency key counts among all that have
    /// no principal. Default: ids are all that is needed.
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

    /// Answers browsers as all others. By default a browser that navigates is shown a small page
    /// while the job is pending: 200 with `Refresh`, since browsers follow a 303 at once and do not
    /// mind Retry-After.
    ///
    /// A navigation has `Sec-Fetch-Mode: navigate` or `Sec-Fetch-Dest: document`, or, without any
    /// `Sec-Fetch-*` field, `Upgrade-Insecure-Requests: 1`; and its Accept prefers HTML to JSON
    /// (RFC 9110, section 12.5.1). Programs that accept HTML are no browsers, and get no page.
    pub fn without_page(mut self) -> Self {
        self.config.page = false;
        self
    }

    /// Wraps the future of each job when it leaves the connection for the background, so that
    /// task-locals and the like go along. The current `tracing` span does so by itself.
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

    /// Makes the layer.
    ///
    /// # Errors
    ///
    /// When the base is not a path that starts with `/` and names a segment, when the public base
    /// cannot stand in a header, or when a limit of zero would refuse everything.
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
        self.node.has_principals = self.config.principal.is_some();
        self.node.streams = self.node.streams.or_else(|| default_streams(&self.config));
        let store = self.store.unwrap_or_else(default_store);
        let front = Front::new(self.config, self.node, store);
        Ok(AsyncJobLayer {
            front: Arc::new(front),
        })
    }
}

/// The memory store on tokio's clock, which tests can pause.
fn default_store() -> Arc<dyn JobStore> {
    let clock = || -> Instant { tokio::time::Instant::now().into_std() };
    Arc::new(MemoryStore::builder().clock(clock).build())
}

/// The limits of streams where none are set: some, if requests are limited.
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
            .field("inline_wait", &self.config.inline_wait)
            .finish_non_exhaustive()
    }
}

/// A [`Builder`] was given something that cannot work.
///
/// ```
/// let error = tower_async_job::AsyncJobLayer::builder().limits(0, 10).build().unwrap_err();
/// assert_eq!(error.to_string(), "a limit of zero running requests would refuse everything");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigError(Reason);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Base,
    PublicBase,
    NothingRuns,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Reason::Base => "the base must be a path of at least one segment, such as /work",
            Reason::PublicBase => "the public base must be a path or an absolute URL without query",
            Reason::NothingRuns => "a limit of zero running requests would refuse everything",
        })
    }
}

impl Error for ConfigError {}

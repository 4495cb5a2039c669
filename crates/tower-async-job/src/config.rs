//! The settings of the layer, and their defaults.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http_polling::RequestHead;
use tower_async_job_core::{Principal, QueueLimit};

use crate::estimate::Estimator;

use self::{
    extension::KeptExtension,
    limits::{HoldLimits, Limits},
    policy::Policy,
};

pub(crate) mod extension;
pub(crate) mod limits;
pub(crate) mod policy;

/// The fate of a request whose client disconnects before the answer or the acceptance.
///
/// ```
/// use tower_async_job::{AsyncJobLayer, OnDisconnect};
///
/// let layer = AsyncJobLayer::builder()
///     .on_disconnect(OnDisconnect::Detach)
///     .build()?;
/// # Ok::<(), tower_async_job::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnDisconnect {
    /// Drops the handler's future, as without the layer.
    #[default]
    Cancel,
    /// Continues the handler in a background task, to its end or its
    /// [deadline](crate::Builder::job_deadline), and drops its response. The client's span and the
    /// [hook](crate::Builder::wrap_job) end with the connection. A
    /// [shutdown](crate::AsyncJobLayer::shutdown) waits for it as for jobs, and drops it after the
    /// grace.
    Detach,
}

/// The fate of a call whose handler has begun but whose job cannot be stored, because the store is
/// full or unreachable.
///
/// A request with an idempotency key is refused in any case: its handler has not begun.
///
/// ```
/// use tower_async_job::{AsyncJobLayer, OnStoreFailure};
///
/// let layer = AsyncJobLayer::builder()
///     .on_store_failure(OnStoreFailure::Refuse)
///     .build()?;
/// # Ok::<(), tower_async_job::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnStoreFailure {
    /// Answers the call inline, if it ends before its [deadline](crate::Builder::job_deadline). No
    /// work is lost.
    #[default]
    StayInline,
    /// Drops the handler and answers `503 Service Unavailable` with Retry-After.
    Refuse,
}

/// The part of a node in the work of all nodes that share a store.
///
/// It concerns requests that can be [replayed](crate::Builder::replay_when), which any
/// [`Worker`](crate::Worker) may run. Polls, cancellations and repeats of idempotency keys are
/// answered by all nodes.
///
/// ```
/// use tower_async_job::{AsyncJobLayer, Role};
///
/// let layer = AsyncJobLayer::builder()
///     .replay_when(|request| request.uri.path() == "/report")
///     .role(Role::Front)
///     .build()?;
/// # Ok::<(), tower_async_job::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// Runs the jobs that it accepts. If its node crashes, a worker runs those again that can be
    /// replayed.
    #[default]
    Both,
    /// Stores requests that can be replayed for workers, without calling the handler, and waits for
    /// their result as long as the [inline wait](crate::Builder::inline_wait). If the client
    /// disconnects meanwhile, the job is cancelled, unless it has an idempotency key or is to be
    /// [detached](OnDisconnect::Detach). Other requests run here, unless they are
    /// [refused](crate::Builder::refuse_local_jobs).
    Front,
    /// Defers no request: it answers them inline, such as those of a health check. One with an
    /// idempotency key is a job nevertheless.
    Worker,
}

/// The future of a deferred job, as a [`Builder::wrap_job`](crate::Builder::wrap_job) hook sees it.
///
/// ```
/// let job: tower_async_job::JobFuture = Box::pin(async {});
/// # drop(job);
/// ```
pub type JobFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

type FindNotification = dyn Fn(RequestHead<'_>) -> Result<Option<Bytes>, String> + Send + Sync;
type FindPolicy = dyn Fn(RequestHead<'_>) -> Arc<Policy> + Send + Sync;
type FindPrincipal = dyn Fn(RequestHead<'_>) -> Option<Principal> + Send + Sync;
type FindRoute = dyn Fn(RequestHead<'_>) -> Arc<str> + Send + Sync;
type Predicate = dyn Fn(RequestHead<'_>) -> bool + Send + Sync;
type Wrap = dyn Fn(JobFuture) -> JobFuture + Send + Sync;

/// The settings of the part that answers requests.
pub(crate) struct Config {
    pub(crate) base: Box<str>,
    pub(crate) public_base: Box<str>,
    /// The policy of requests for which no other is chosen.
    pub(crate) policy: Policy,
    pub(crate) policies: Option<Box<FindPolicy>>,
    pub(crate) max_inline_wait: Duration,
    pub(crate) only_when_asked: bool,
    pub(crate) predicate: Option<Box<Predicate>>,
    /// Selects requests that can be replayed, beside those of such a policy.
    pub(crate) replay: Option<Box<Predicate>>,
    pub(crate) extensions: Vec<KeptExtension>,
    pub(crate) notification: Option<Box<FindNotification>>,
    pub(crate) role: Role,
    /// Refuses jobs that a front would have to run itself.
    pub(crate) refuse_local: bool,
    pub(crate) context: bool,
    pub(crate) on_disconnect: OnDisconnect,
    pub(crate) on_store_failure: OnStoreFailure,
    pub(crate) spool_room: usize,
    pub(crate) spool_room_per_principal: usize,
    pub(crate) path_limit: usize,
    pub(crate) principal_limit: usize,
    pub(crate) limits: Option<Limits>,
    pub(crate) limits_per_principal: Option<Limits>,
    pub(crate) queue_limit: QueueLimit,
    pub(crate) max_hold: Duration,
    pub(crate) hold_limits: HoldLimits,
    /// `None` never closes connections.
    pub(crate) close_connections_from: Option<Duration>,
    pub(crate) principal: Option<Box<FindPrincipal>>,
    /// Lists the jobs of its principal to a client, at the base.
    pub(crate) lists_own_jobs: bool,
    pub(crate) page: bool,
    /// Serves the events of jobs.
    pub(crate) events: bool,
    pub(crate) route: Option<Box<FindRoute>>,
}

impl Config {
    /// Returns whether jobs that would run here are refused.
    pub(crate) fn refuses_local(&self) -> bool {
        self.refuse_local && self.role == Role::Front
    }

    /// Returns the chosen policy, or else the default one.
    pub(crate) fn policy<'a>(&'a self, chosen: Option<&'a Arc<Policy>>) -> &'a Policy {
        chosen.map_or(&self.policy, |policy| policy)
    }
}

/// The settings of the part that runs jobs.
pub(crate) struct NodeConfig {
    pub(crate) name: Option<Arc<str>>,
    /// The time after which a node that is cut off from its store is not ready. `None` is never.
    pub(crate) unready_after: Option<Duration>,
    pub(crate) has_principals: bool,
    /// The default limit of a result.
    pub(crate) result_limit: usize,
    pub(crate) recording_room: usize,
    pub(crate) report_limit: usize,
    pub(crate) retention_after_delivery: Option<Duration>,
    pub(crate) cancellation_grace: Duration,
    pub(crate) report_interval: Duration,
    /// `None` is no limit.
    pub(crate) streams: Option<HoldLimits>,
    pub(crate) estimator: Box<dyn Estimator>,
    pub(crate) wrap: Option<Box<Wrap>>,
}

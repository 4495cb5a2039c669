//! What can be set on the layer, and the defaults.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use http_polling::RequestHead;
use tower_async_job_core::Principal;

use crate::estimate::Estimator;

use self::{
    limits::{HoldLimits, Limits, Pace},
    policy::Policy,
};

pub(crate) mod limits;
pub(crate) mod policy;

/// What becomes of a request whose client goes away before the answer or the acceptance.
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
pub enum OnDisconnect {
    /// The handler's future is dropped, as without the layer.
    #[default]
    Cancel,
    /// The handler runs to its end in a background task, or to its [deadline](Builder::job_deadline), and
    /// its response is dropped. Neither the client's span nor the [hook](Builder::wrap_job) goes along:
    /// they end with the connection. A [shutdown](crate::AsyncJobLayer::shutdown) waits for it as for
    /// jobs, and drops it after the grace.
    Detach,
}

/// What is done when a job cannot be stored although its handler has begun: the store is full or
/// out of reach.
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
pub enum OnStoreFailure {
    /// The call is answered inline, if it ends before its [deadline](Builder::job_deadline): no work
    /// is thrown away.
    #[default]
    StayInline,
    /// The handler is dropped and the answer is `503 Service Unavailable` with Retry-After.
    Refuse,
}

/// The future of a job once it is deferred, as a [`Builder::wrap_job`] hook sees it.
pub type JobFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

type FindPolicy = dyn Fn(RequestHead<'_>) -> Arc<Policy> + Send + Sync;
type FindPrincipal = dyn Fn(RequestHead<'_>) -> Option<Principal> + Send + Sync;
type FindRoute = dyn Fn(RequestHead<'_>) -> Arc<str> + Send + Sync;
type Predicate = dyn Fn(RequestHead<'_>) -> bool + Send + Sync;
type Wrap = dyn Fn(JobFuture) -> JobFuture + Send + Sync;

/// The settings of what answers requests.
pub(crate) struct Config {
    pub(crate) base: Box<str>,
    pub(crate) public_base: Box<str>,
    /// That of requests for which no other is chosen.
    pub(crate) policy: Policy,
    pub(crate) policies: Option<Box<FindPolicy>>,
    pub(crate) max_inline_wait: Duration,
    pub(crate) only_when_asked: bool,
    pub(crate) predicate: Option<Box<Predicate>>,
    pub(crate) context: bool,
    pub(crate) on_disconnect: OnDisconnect,
    pub(crate) on_store_failure: OnStoreFailure,
    pub(crate) spool_room: usize,
    pub(crate) spool_room_per_principal: usize,
    pub(crate) request_pace: Pace,
    pub(crate) path_limit: usize,
    pub(crate) principal_limit: usize,
    pub(crate) limits: Option<Limits>,
    pub(crate) limits_per_principal: Option<Limits>,
    pub(crate) max_hold: Duration,
    pub(crate) hold_limits: HoldLimits,
    /// `None` closes none.
    pub(crate) close_connections_from: Option<Duration>,
    pub(crate) principal: Option<Box<FindPrincipal>>,
    pub(crate) page: bool,
    pub(crate) route: Option<Box<FindRoute>>,
}

impl Config {
    /// Returns the policy of a request for which this one has been chosen, if any.
    pub(crate) fn policy<'a>(&'a self, chosen: Option<&'a Arc<Policy>>) -> &'a Policy {
        chosen.map_or(&self.policy, |policy| policy)
    }
}

/// The settings of what runs jobs.
pub(crate) struct NodeConfig {
    pub(crate) has_principals: bool,
    /// The usual limit of a result.
    pub(crate) result_limit: usize,
    pub(crate) recording_room: usize,
    pub(crate) report_limit: usize,
    pub(crate) retention_after_delivery: Option<Duration>,
    pub(crate) cancellation_grace: Duration,
    pub(crate) report_interval: Duration,
    /// `None` limits none.
    pub(crate) streams: Option<HoldLimits>,
    pub(crate) estimator: Box<dyn Estimator>,
    pub(crate) wrap: Option<Box<Wrap>>,
}

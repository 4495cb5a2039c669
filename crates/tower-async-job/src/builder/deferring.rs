//! The settings that decide which requests become jobs, and when.

use std::{sync::Arc, time::Duration};

use http_polling::RequestHead;

use super::Builder;
use tower_async_job_core::PendingStatus;

use crate::config::{OnDisconnect, OnStoreFailure, policy::Policy};

impl Builder {
    /// Sets the time that a handler may take before its request becomes a job. Default 1 s. Zero
    /// defers each response that is not ready at once.
    pub fn inline_wait(mut self, wait: Duration) -> Self {
        self.config.policy.inline_wait = wait;
        self
    }

    /// Sets the longest inline wait that a client gets by `Prefer: wait=N` (RFC 7240, section 4.3).
    /// Default 25 s, below the usual timeouts of proxies.
    pub fn max_inline_wait(mut self, wait: Duration) -> Self {
        self.config.max_inline_wait = wait;
        self
    }

    /// Chooses the [`Policy`] of each request that may become a job. It replaces the policy that
    /// the methods named like its fields set. Default: the same for all.
    ///
    /// Policies that are created once and shared cost least. Jobs of all policies share one
    /// registry and one budget of polls.
    ///
    /// ```
    /// use std::{sync::Arc, time::Duration};
    /// use tower_async_job::{AsyncJobLayer, Policy};
    ///
    /// let usual = Arc::new(Policy::default());
    /// let mut exports = Policy::default();
    /// exports.inline_wait = Duration::ZERO;
    /// exports.result_limit = 256 << 20;
    /// let exports = Arc::new(exports);
    /// let layer = AsyncJobLayer::builder()
    ///     .policy(move |request| match request.uri.path() {
    ///         "/export" => exports.clone(),
    ///         _ => usual.clone(),
    ///     })
    ///     .build()?;
    /// # Ok::<(), tower_async_job::ConfigError>(())
    /// ```
    pub fn policy(
        mut self,
        choose: impl Fn(RequestHead<'_>) -> Arc<Policy> + Send + Sync + 'static,
    ) -> Self {
        self.config.policies = Some(Box::new(choose));
        self
    }

    /// Selects the requests that may be deferred; all others are answered inline, however long it
    /// takes. Default: all, except for those that can never be deferred: HEAD, OPTIONS, TRACE,
    /// CONNECT, upgrades, those that accept an event stream, and gRPC calls without `Prefer:
    /// respond-async`.
    ///
    /// Limits, deadlines and idempotency keys apply to requests that are not deferred too. Route a
    /// request that must be exempt, such as a health check, around the layer.
    pub fn defer_when(
        mut self,
        predicate: impl Fn(RequestHead<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.config.predicate = Some(Box::new(predicate));
        self
    }

    /// Sets whether only requests with `Prefer: respond-async` (RFC 7240, section 4.1) are
    /// deferred, as is always so for gRPC. Default no.
    pub fn only_when_asked(mut self, enabled: bool) -> Self {
        self.config.only_when_asked = enabled;
        self
    }

    /// Sets whether requests have a [`JobContext`](crate::JobContext) in their extensions. Default
    /// yes; it costs four allocations.
    ///
    /// A layer within this one passes through the requests that have one. Without it, an inner
    /// layer recognises only those that have an idempotency key or are counted for
    /// [limits](Self::limits).
    pub fn context(mut self, enabled: bool) -> Self {
        self.config.context = enabled;
        self
    }

    /// Sets what happens to a request whose client disconnects before it is accepted. Default: it
    /// is cancelled. An accepted job continues in any case.
    pub fn on_disconnect(mut self, policy: OnDisconnect) -> Self {
        self.config.on_disconnect = policy;
        self
    }

    /// Sets what happens when the store refuses a job whose handler has begun. Default: the call
    /// stays inline. A call that may not stay inline is refused before its handler begins if the
    /// store has no room for the result, by the size of earlier results of its route.
    pub fn on_store_failure(mut self, policy: OnStoreFailure) -> Self {
        self.config.on_store_failure = policy;
        self
    }

    /// Sets the time that a job may take from its acceptance before it ends as timed-out. Default 1
    /// h. A request that stays inline ends with 504 after the same time. For requests that are
    /// never deferred, the default applies only if there are [limits](Self::limits).
    pub fn job_deadline(mut self, deadline: Duration) -> Self {
        self.config.policy.job_deadline = Some(deadline);
        self
    }

    /// Sets the status that announces pending jobs. Default 303.
    pub fn pending_status(mut self, status: PendingStatus) -> Self {
        self.config.policy.pending_status = status;
        self
    }
}

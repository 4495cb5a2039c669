//! The settings of which requests become jobs, and when.

use std::{sync::Arc, time::Duration};

use http_polling::RequestHead;

use super::Builder;
use tower_async_job_core::PendingStatus;

use crate::config::{OnDisconnect, OnStoreFailure, policy::Policy};

impl Builder {
    /// How long a handler may take before its request becomes a job. Default 1 s. Zero defers
    /// whatever is not ready at once.
    pub fn inline_wait(mut self, wait: Duration) -> Self {
        self.config.policy.inline_wait = wait;
        self
    }

    /// The longest inline wait that a client gets by `Prefer: wait=N` (RFC 7240, section 4.3).
    /// Default 25 s, below the usual clocks of proxies.
    pub fn max_inline_wait(mut self, wait: Duration) -> Self {
        self.config.max_inline_wait = wait;
        self
    }

    /// Chooses the [`Policy`] of each request that may become a job, in place of the one that the
    /// methods with the names of its fields set. Default: the same for all.
    ///
    /// Policies that are made once and shared cost least. The jobs of all of them have one registry
    /// and one budget of polls.
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

    /// Sets whether only requests are deferred that ask with `Prefer: respond-async` (RFC 7240, section 4.1), as is
    /// always so for gRPC. Default no.
    pub fn only_when_asked(mut self, enabled: bool) -> Self {
        self.config.only_when_asked = enabled;
        self
    }

    /// Sets whether requests have a [`JobContext`](crate::JobContext) in their extensions. Default
    /// yes; its four allocations are saved where no handler takes it.
    ///
    /// A layer within this one recognises by it the requests that it is to pass through. Without it,
    /// only those are recognised that have an idempotency key or are counted for
    /// [limits](Self::limits).
    pub fn context(mut self, enabled: bool) -> Self {
        self.config.context = enabled;
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

    /// The time that a job may take from its acceptance before it ends as timed-out. Default 1 h. A
    /// request that stays inline is given up after the same time, with 504. The default holds for
    /// requests that are never deferred only where there are [limits](Self::limits).
    pub fn job_deadline(mut self, deadline: Duration) -> Self {
        self.config.policy.job_deadline = Some(deadline);
        self
    }

    /// How pending jobs are announced. Default 303.
    pub fn pending_status(mut self, status: PendingStatus) -> Self {
        self.config.policy.pending_status = status;
        self
    }
}

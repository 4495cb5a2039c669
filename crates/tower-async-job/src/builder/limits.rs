//! The limits of concurrent requests, polls and streams.

use std::time::Duration;

use tower_async_job_core::QueueLimit;

use super::Builder;
use crate::config::limits::{HoldLimits, Limits};

impl Builder {
    /// Limits the requests that run at once, and those that may wait to run (deferrable ones wait
    /// as `queued` jobs). Beyond both, requests are refused with 503 and Retry-After before their
    /// handler is called. Default: no limit.
    ///
    /// They are the node's own; see [`queue_limit`](Self::queue_limit) for that of all nodes.
    ///
    /// Requests that are never deferred count too. An inline answer keeps its place until its head
    /// is sent; websockets and event streams then have a [limit of their own](Self::streams).
    pub fn limits(mut self, max_running: usize, max_queued: usize) -> Self {
        self.config.limits = Some(Limits {
            running: max_running,
            queued: max_queued,
        });
        self
    }

    /// Limits the requests of each [principal](Self::principal) likewise. Beyond it, its requests
    /// are refused with 429 and Retry-After, and others are unaffected. Principals take turns, so
    /// that one principal's queue never delays another's. Default: no limit.
    pub fn limits_per_principal(mut self, max_running: usize, max_queued: usize) -> Self {
        self.config.limits_per_principal = Some(Limits {
            running: max_running,
            queued: max_queued,
        });
        self
    }

    /// Limits the jobs of all nodes that wait for a run, overall and of each
    /// [principal](Self::principal). Default: no limit.
    ///
    /// The store counts the jobs that are `queued`: those that [fronts](crate::Role::Front) offer,
    /// those that wait for a place at their node, and those that wait for a re-run. A submission
    /// that would wait too is refused beyond the limit before its handler is called: with 503, or
    /// with 429 if it is the principal's, and with Retry-After. Other principals are unaffected,
    /// and repeats with an idempotency key are answered as ever. Jobs that run at once are not
    /// concerned, and a job that waits for a re-run is never refused.
    ///
    /// The memory store and that in SQLite keep to it exactly. Others may exceed it by the
    /// submissions that are stored at the same moment; their documentation tells.
    ///
    /// ```
    /// use tower_async_job::{AsyncJobLayer, Role};
    ///
    /// let front = AsyncJobLayer::builder()
    ///     .replay_when(|request| request.uri.path() == "/report")
    ///     .role(Role::Front)
    ///     .queue_limit(100_000, 1_000)
    ///     .build()?;
    /// # Ok::<(), tower_async_job::ConfigError>(())
    /// ```
    pub fn queue_limit(mut self, overall: usize, per_principal: usize) -> Self {
        self.config.queue_limit = QueueLimit::new(overall, per_principal);
        self
    }

    /// Limits the open websockets and event streams, of all clients and of one
    /// [principal](Self::principal): answers with 101, successful answers to CONNECT, and answers
    /// of the type `text/event-stream`. Once their head is ready, they exchange their place among
    /// the [running requests](Self::limits) for one of these. Beyond the limit they are refused
    /// with 503 instead of the handler's answer, or with 429 if it is the principal's. An event
    /// stream that is the answer of a job counts too while it is stored; beyond the limit its job
    /// fails.
    ///
    /// Default: none without limits of requests; with them 10,000, and 100 per principal if [these
    /// are limited](Self::limits_per_principal). The place of an event stream is released at the
    /// end of its body; see [`StreamPlace`](crate::StreamPlace) for that of a websocket.
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

    /// Sets the longest time that a poll is held: one with `Prefer: wait=N`, or one of a client
    /// that follows redirects and ignores Retry-After. Default 25 s, below the usual timeouts of
    /// proxies. Zero holds none.
    pub fn max_hold(mut self, time: Duration) -> Self {
        self.config.max_hold = time;
        self
    }

    /// Limits the polls that are held at once, of all clients and of one principal. Repeats of a
    /// request with an idempotency key count as polls within the inline wait, and so do [streams of
    /// events](Self::events). Beyond the limit, a poll that asked to wait is answered at once, and a
    /// premature one or a stream with 429. Default 10,000, and 100 per principal.
    pub fn hold_limits(mut self, overall: usize, per_principal: usize) -> Self {
        self.config.hold_limits = HoldLimits {
            overall,
            per_principal,
        };
        self
    }

    /// Sets the shortest delay with which a pending answer over HTTP/1.1 carries `Connection:
    /// close`, so that no socket is open while the client waits. Default 15 s. `None` never closes;
    /// choose it behind a proxy that pools connections without adding any of the headers below.
    ///
    /// Connections stay open if the delay is a [guess](crate::Estimator::is_guess), over other versions of
    /// HTTP, if the request has `Via`, `Forwarded` or any `X-Forwarded-*` header and so comes from
    /// a proxy's pool, and if the client does not wait for the delay: when its poll came early or
    /// was held, or when it is a browser that is shown the page.
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
    pub fn close_connections_from(mut self, delay: impl Into<Option<Duration>>) -> Self {
        self.config.close_connections_from = delay.into();
        self
    }
}

//! The limits of what is worked on and held at once.

use std::time::Duration;

use super::Builder;
use crate::config::limits::{HoldLimits, Limits};

impl Builder {
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
    /// that no socket is open while the client waits. Default 15 s; `None` closes none, as behind a proxy
    /// that keeps a pool of connections and adds none of the headers that proxies are known by.
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
    pub fn close_connections_from(mut self, delay: impl Into<Option<Duration>>) -> Self {
        self.config.close_connections_from = delay.into();
        self
    }
}

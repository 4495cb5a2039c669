//! The settings of uploads.

use std::time::Duration;

use super::Builder;

impl Builder {
    /// Sets the bytes of an upload, still unread by the handler, that are kept in memory when its
    /// request is deferred. Beyond it the call stays inline. Default 2 MiB.
    pub fn request_spool(mut self, bytes: usize) -> Self {
        self.config.policy.request_spool = bytes;
        self
    }

    /// Sets the bytes that the spooled uploads of all requests may take together. Beyond it, calls
    /// stay inline, and those with an idempotency key or that can be [replayed](Self::replay_when)
    /// are refused with 503. The latter also count while their job runs, if leases end. Default 256
    /// MiB.
    pub fn spool_room(mut self, bytes: usize) -> Self {
        self.config.spool_room = bytes;
        self
    }

    /// Limits the bytes that the spooled uploads of one [principal](Self::principal) may take.
    /// Beyond it, its calls stay inline, and those with an idempotency key are refused with 429.
    /// Default 64 MiB.
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

    /// Sets whether a request whose Content-Length exceeds the spool is refused with 413 before the
    /// handler is called. Default no: it stays inline.
    pub fn refuse_large_requests(mut self, enabled: bool) -> Self {
        self.config.policy.refuse_large_requests = enabled;
        self
    }

    /// Sets the time that an upload may stand still before the request ends with 408 and no job.
    /// Default 30 s.
    ///
    /// This and the next two settings apply until the handler's response is ready or the request
    /// has become a job. They count only the time in which the handler, or the layer, waits for the
    /// client. They apply to requests that may be deferred, have an idempotency key, or take a
    /// place among the [limits](Self::limits): a server with limits needs other settings for long,
    /// slow gRPC streams.
    pub fn request_read_timeout(mut self, timeout: Duration) -> Self {
        self.config.policy.request_read_timeout = timeout;
        self
    }

    /// Sets the average rate, in bytes per second, of an upload after its first [30
    /// s](Self::request_read_timeout): this number of bytes earns it a further second. A slower
    /// upload ends like one that stands still. Default 500, like Apache's `mod_reqtimeout`
    /// (`body=20,MinRate=500`); Kestrel's is 240, and even GSM has 9,600 bit/s. Zero requires no
    /// rate.
    ///
    /// ```
    /// use tower_async_job::AsyncJobLayer;
    ///
    /// let layer = AsyncJobLayer::builder().request_read_rate(5_000).build()?;
    /// # Ok::<(), tower_async_job::ConfigError>(())
    /// ```
    pub fn request_read_rate(mut self, bytes_per_second: u32) -> Self {
        self.config.policy.request_read_rate = bytes_per_second;
        self
    }

    /// Limits the total time spent waiting for an upload, however fast it is. Default 10 min, in
    /// which 30 MB arrive at 50 kB/s; Node's `server.requestTimeout` gives the whole request 5 min.
    /// Raise it to upload larger files through the layer.
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
        self.config.policy.request_read_deadline = time;
        self
    }
}

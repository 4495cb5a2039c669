//! The settings of uploads.

use std::time::Duration;

use super::Builder;

impl Builder {
    /// How many bytes of an upload still unread by the handler are kept in memory when its request
    /// is deferred. Over it the call stays inline. Default 2 MiB.
    pub fn request_spool(mut self, bytes: usize) -> Self {
        self.config.policy.request_spool = bytes;
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

    /// Sets whether a request whose Content-Length is over the spool is refused with 413 before the
    /// handler is called. Default no: it stays inline.
    pub fn refuse_large_requests(mut self, enabled: bool) -> Self {
        self.config.policy.refuse_large_requests = enabled;
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
}

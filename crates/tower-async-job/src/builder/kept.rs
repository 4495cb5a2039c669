//! The settings of what is kept of a job, and for how long.

use std::time::Duration;

use tower_async_job_core::Retention;

use super::Builder;

impl Builder {
    /// Sets the bytes that all results being recorded in this process may take together, whatever
    /// the store. Beyond it, all recordings but one wait. Default 256 MiB.
    ///
    /// A store may hold parts of results in memory too, such as one that uploads them: as many bytes
    /// [of all of them](crate::store::StoreProperties::recording) may be there besides.
    ///
    /// A job keeps its place among the [running](Self::limits) until its result is stored.
    pub fn recording_room(mut self, bytes: usize) -> Self {
        self.node.recording_room = bytes;
        self
    }

    /// Sets the bytes of JSON that a job's partial result may have, and all of its metadata
    /// together. Longer ones are dropped with a warning. Default 2 MiB.
    pub fn report_limit(mut self, bytes: usize) -> Self {
        self.node.report_limit = bytes;
        self
    }

    /// Sets the longest path, in bytes, of a request that may be deferred; a longer one is refused
    /// with 414. Default 8 KiB. A [route](Self::route), also one that is a path, is cut to 256
    /// bytes.
    pub fn path_limit(mut self, bytes: usize) -> Self {
        self.config.path_limit = bytes;
        self
    }

    /// Sets the longest [principal](Self::principal), in bytes; a request with a longer one is
    /// refused with 400 and a warning. Default 1 KiB.
    pub fn principal_limit(mut self, bytes: usize) -> Self {
        self.config.principal_limit = bytes;
        self
    }

    /// Sets the time for which a result is kept after a client has read it to its end by GET, if
    /// its [retention](Self::retention) does not end sooner; each read restarts the time. Default:
    /// not set; results are kept for their retention, unless the store is short of room.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_async_job::AsyncJobLayer;
    ///
    /// let layer = AsyncJobLayer::builder()
    ///     .retention_after_delivery(Duration::from_secs(300))
    ///     .build()?;
    /// # Ok::<(), tower_async_job::ConfigError>(())
    /// ```
    pub fn retention_after_delivery(mut self, time: Duration) -> Self {
        self.node.retention_after_delivery = Some(time);
        self
    }

    /// Sets the bytes of a deferred response's body that are stored; a longer one ends the job as
    /// failed, with a problem that names this setting. Default 16 MiB.
    ///
    /// A body that its store takes [in chunks](crate::store::StoreProperties::chunk) has at most
    /// two of them in memory, while it is stored and while it is read. There, a higher limit needs
    /// room in the store, but no memory. The store has its own limit for all results together.
    pub fn result_limit(mut self, bytes: usize) -> Self {
        self.config.policy.result_limit = bytes;
        self
    }

    /// Sets the times for which results, and after them tombstones, are kept. Default 1 h each.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.config.policy.retention = retention;
        self
    }

    /// Sets the time that the handler of a cancelled job has to finish before its future is
    /// dropped. Default 5 s.
    pub fn cancellation_grace(mut self, grace: Duration) -> Self {
        self.node.cancellation_grace = grace;
        self
    }

    /// Sets the shortest interval at which reports of one job are written to the store. Default 100
    /// ms.
    pub fn report_interval(mut self, interval: Duration) -> Self {
        self.node.report_interval = interval;
        self
    }
}

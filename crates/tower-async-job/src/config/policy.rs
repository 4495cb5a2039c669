//! The settings of a single request.

use std::time::Duration;

use http::HeaderName;
use tower_async_job_core::{PendingStatus, Retention};

use super::limits::Pace;

/// The settings of a request that may become a job, and of its job.
///
/// The methods of [`Builder`](crate::Builder) with the same names set those of all requests, and
/// [`Builder::policy`](crate::Builder::policy) chooses others for some of them.
///
/// ```
/// use std::time::Duration;
/// use tower_async_job::Policy;
///
/// let mut exports = Policy::default();
/// exports.inline_wait = Duration::ZERO;
/// exports.result_limit = 256 << 20;
/// assert_eq!(exports.job_deadline, None);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The time that a handler may take before its request becomes a job. Default 1 s.
    pub inline_wait: Duration,
    /// The announcement of the pending job. Default 303.
    pub pending_status: PendingStatus,
    /// The bytes of an unread upload that are kept in memory. Default 2 MiB.
    pub request_spool: usize,
    /// Refuses a request whose Content-Length exceeds the spool with 413. Default no.
    pub refuse_large_requests: bool,
    /// The bytes of a response's body that are stored. Default 16 MiB.
    pub result_limit: usize,
    /// The times for which a result, and after it a tombstone, are kept. Default 1 h each.
    pub retention: Retention,
    /// The time that the work may take. `None`, the default, means 1 h; requests that are never
    /// deferred then have no deadline unless there are limits.
    pub job_deadline: Option<Duration>,
    /// Stores the request with its job, so that a worker can run it again; see
    /// [`Builder::replay_when`](crate::Builder::replay_when). Default no.
    pub replay: bool,
    /// Stores the head of a request that cannot be [replayed](Self::replay), so that a worker can
    /// resume its job, with an empty body, from the
    /// [checkpoint](crate::JobContext::save_checkpoint) that an earlier run has saved. A job without
    /// a checkpoint ends as lost with its node, as others do. Default no.
    ///
    /// It is for work that must not be begun twice, but can be taken up again where it was left. The
    /// body is neither stored nor read to its end first. The kept headers and extensions are those of
    /// requests that can be replayed.
    pub resume: bool,
    /// The number of runs that a job whose request is stored may begin, crashed ones included.
    /// Default 3.
    pub max_attempts: u32,
    /// The headers that are stored beside the usual ones; see
    /// [`Builder::keep_header`](crate::Builder::keep_header). Default none.
    pub kept_headers: Vec<HeaderName>,
    /// The time that an upload may stand still before the request ends with 408. Default 30 s.
    pub request_read_timeout: Duration,
    /// The average rate of an upload after that time, in bytes per second; zero requires none.
    /// Default 500.
    pub request_read_rate: u32,
    /// The total time spent waiting for an upload. Default 10 min.
    pub request_read_deadline: Duration,
}

impl Policy {
    pub(crate) fn deadline(&self) -> Duration {
        self.job_deadline.unwrap_or(Duration::from_secs(3600))
    }

    /// Returns the slowest acceptable pace of an upload.
    #[inline]
    pub(crate) fn pace(&self) -> Pace {
        Pace {
            still: self.request_read_timeout,
            total: self.request_read_deadline,
            rate: self.request_read_rate,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            inline_wait: Duration::from_secs(1),
            pending_status: PendingStatus::default(),
            request_spool: 2 << 20,
            refuse_large_requests: false,
            result_limit: 16 << 20,
            retention: Retention::default(),
            job_deadline: None,
            replay: false,
            resume: false,
            max_attempts: 3,
            kept_headers: Vec::new(),
            request_read_timeout: Duration::from_secs(30),
            request_read_rate: 500,
            request_read_deadline: Duration::from_secs(600),
        }
    }
}

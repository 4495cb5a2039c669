//! The refusal of a request for which there is no place.

use std::time::Duration;

use http_polling::ProblemType;

/// The Retry-After of a node that is full or whose store is unreachable.
pub(crate) const BUSY_RETRY_AFTER: Duration = Duration::from_secs(5);

/// The reason why there is no place, and the time to retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoPlace {
    pub(crate) problem: ProblemType,
    pub(crate) retry_after: Duration,
    /// The node shuts down, and the connection is no longer useful.
    pub(crate) is_stopping: bool,
}

impl NoPlace {
    /// The node shuts down: the client should try another.
    pub(crate) const STOPPING: Self = Self {
        problem: ProblemType::CapacityExhausted,
        retry_after: Duration::from_secs(5),
        is_stopping: true,
    };

    /// Returns that there is no place for now.
    pub(crate) fn yet(problem: ProblemType, retry_after: Duration) -> Self {
        Self {
            problem,
            retry_after,
            is_stopping: false,
        }
    }
}

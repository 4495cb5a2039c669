use crate::error::{StoreError, StoreLimit};

/// The maximum numbers of jobs that wait for a run; see [`NewJob::queue_limit`](crate::NewJob).
///
/// ```
/// use tower_async_job_core::QueueLimit;
///
/// let limit = QueueLimit::new(10_000, 100);
/// assert!(limit.check(9_999, Some(99)).is_ok());
/// assert!(limit.check(10_000, None).unwrap_err().is_queue_full());
/// assert!(limit.check(5_000, Some(100)).unwrap_err().is_quota_exceeded());
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimit {
    /// The maximum number of all waiting jobs.
    pub overall: usize,
    /// The maximum number of waiting jobs of one principal. It does not concern jobs without one.
    pub per_principal: usize,
}

impl QueueLimit {
    /// No limit, the default.
    pub const NONE: Self = Self::new(usize::MAX, usize::MAX);

    /// Creates the limits of all jobs and of each principal's.
    pub const fn new(overall: usize, per_principal: usize) -> Self {
        Self {
            overall,
            per_principal,
        }
    }

    /// Checks that one more job may wait if this number of jobs does, and this number of its
    /// principal's. `None`: it has no principal.
    ///
    /// # Errors
    ///
    /// [`is_quota_exceeded`](StoreError::is_quota_exceeded) for the principal, or else
    /// [`is_queue_full`](StoreError::is_queue_full).
    pub fn check(self, waiting: usize, own: Option<usize>) -> Result<(), StoreError> {
        let limit = |value: usize| StoreLimit::new("queue_limit", value as u64);
        if own.is_some_and(|own| own >= self.per_principal) {
            return Err(StoreError::quota_exceeded().with_limit(limit(self.per_principal)));
        }
        if waiting >= self.overall {
            return Err(StoreError::queue_full().with_limit(limit(self.overall)));
        }
        Ok(())
    }
}

impl Default for QueueLimit {
    fn default() -> Self {
        Self::NONE
    }
}

use std::time::Duration;

use super::{Estimator, ObservedJob};

/// An estimator that ignores other jobs. It returns the time until the job is taken from a silent
/// node, or the time left at the pace of the handler's progress, or else half of the elapsed time,
/// between 1 s and 60 s.
///
/// ```
/// use std::time::Duration;
/// use tower_async_job::{Estimator, HalfElapsed, ObservedJob};
///
/// let estimator = HalfElapsed::default();
/// let after = |seconds| estimator.retry_after(&ObservedJob::new("POST /", Duration::from_secs(seconds)));
/// assert_eq!(after(0), Duration::from_secs(1));
/// assert_eq!(after(10), Duration::from_secs(5));
/// assert_eq!(after(1_000), Duration::from_secs(60));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct HalfElapsed {
    min: Duration,
    max: Duration,
}

impl HalfElapsed {
    /// Creates it with other bounds; a `max` below `min` counts as `min`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_async_job::{Estimator, HalfElapsed, ObservedJob};
    ///
    /// let estimator = HalfElapsed::between(Duration::from_millis(200), Duration::from_secs(10));
    /// let after = estimator.retry_after(&ObservedJob::new("POST /report", Duration::ZERO));
    /// assert_eq!(after, Duration::from_millis(200));
    /// ```
    #[must_use]
    pub fn between(min: Duration, max: Duration) -> Self {
        Self {
            min,
            max: max.max(min),
        }
    }
}

impl Default for HalfElapsed {
    fn default() -> Self {
        Self::between(Duration::from_secs(1), Duration::from_secs(60))
    }
}

impl Estimator for HalfElapsed {
    fn retry_after(&self, pending: &ObservedJob<'_>) -> Duration {
        let by_time = || match pending.running_for {
            Some(elapsed) => elapsed / 2,
            None => pending.part_of_wait(),
        };
        let left = pending.left().unwrap_or_else(by_time);
        left.clamp(self.min, self.max)
    }

    fn is_guess(&self, pending: &ObservedJob<'_>) -> bool {
        pending.left().is_none()
    }
}

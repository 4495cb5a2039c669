//! How long a client is told to wait before it polls again.

use std::time::Duration;

use http_polling::Progress;

/// What is known of a pending job when its Retry-After is chosen.
///
/// ```
/// use std::time::Duration;
/// use tower_async_job::Pending;
///
/// let pending = Pending::new("POST /report", Duration::from_secs(3));
/// assert_eq!(pending.polls, 0);
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Pending<'a> {
    /// The route, by default the method and path of the submission.
    pub route: &'a str,
    /// How long ago the job was accepted.
    pub age: Duration,
    /// How long the handler has been running; `None` while the job is queued.
    pub running_for: Option<Duration>,
    /// What the handler last reported.
    pub progress: Option<&'a Progress>,
    /// How many answers this client has had before this one.
    pub polls: u32,
}

impl<'a> Pending<'a> {
    /// A job of a route, accepted `age` ago, running since then, of which nothing else is known.
    #[must_use]
    pub fn new(route: &'a str, age: Duration) -> Self {
        Self {
            route,
            age,
            running_for: Some(age),
            progress: None,
            polls: 0,
        }
    }
}

/// Chooses the Retry-After of pending answers.
///
/// Implemented by closures, so a fixed value or a script needs no type:
///
/// ```
/// use std::time::Duration;
/// use tower_async_job::{AsyncJobLayer, Pending};
///
/// let layer = AsyncJobLayer::builder()
///     .estimator(|pending: &Pending<'_>| match pending.polls {
///         0 => Duration::from_secs(4),
///         _ => Duration::from_secs(1),
///     })
///     .build()?;
/// # Ok::<(), tower_async_job::ConfigError>(())
/// ```
pub trait Estimator: Send + Sync + 'static {
    /// The delay until the next poll. On the wire `Retry-After` rounds it up to whole seconds, at
    /// least one (RFC 9110, section 10.2.3), and `retry-after-ms` carries it beside in
    /// milliseconds.
    fn retry_after(&self, pending: &Pending<'_>) -> Duration;
}

impl<F> Estimator for F
where
    F: Fn(&Pending<'_>) -> Duration + Send + Sync + 'static,
{
    fn retry_after(&self, pending: &Pending<'_>) -> Duration {
        self(pending)
    }
}

/// The default: from the handler's own progress the time that is left at the pace so far; else
/// half of the time that the job has taken. Between 1 s and 60 s.
///
/// ```
/// use std::time::Duration;
/// use tower_async_job::{Estimator, HalfElapsed, Pending};
///
/// let estimator = HalfElapsed::default();
/// let after = |seconds| estimator.retry_after(&Pending::new("POST /", Duration::from_secs(seconds)));
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
    /// The same within other bounds; a `max` below `min` counts as `min`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_async_job::{Estimator, HalfElapsed, Pending};
    ///
    /// let estimator = HalfElapsed::between(Duration::from_millis(200), Duration::from_secs(10));
    /// let after = estimator.retry_after(&Pending::new("POST /", Duration::ZERO));
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
    fn retry_after(&self, pending: &Pending<'_>) -> Duration {
        let elapsed = pending.running_for.unwrap_or(pending.age);
        let left = pending
            .progress
            .and_then(Progress::ratio)
            .filter(|done| *done > 0.0)
            .and_then(|done| {
                Duration::try_from_secs_f64(elapsed.as_secs_f64() * (1.0 - done) / done).ok()
            });
        left.unwrap_or(elapsed / 2).clamp(self.min, self.max)
    }
}

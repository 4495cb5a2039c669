//! The choice of Retry-After, and all that it depends on.

use std::time::{Duration, Instant};

use http_polling::Progress;

use super::time::seconds;

/// What is known of a pending job when its Retry-After is chosen.
///
/// ```
/// use std::time::Duration;
/// use tower_async_job::ObservedJob;
///
/// let pending = ObservedJob::new("POST /report", Duration::from_secs(3));
/// assert_eq!(pending.polls, 0);
/// assert_eq!((pending.jobs, pending.own_jobs, pending.principals), (1, 1, 1));
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ObservedJob<'a> {
    /// The route, by default the method and path of the submission; see
    /// [`Builder::route`](crate::Builder::route).
    pub route: &'a str,
    /// How long ago the job was accepted.
    pub age: Duration,
    /// How long the handler has been running since the acceptance; `None` while the job is queued.
    pub running_for: Option<Duration>,
    /// What the handler last reported.
    pub progress: Option<&'a Progress>,
    /// How many answers this client has had before this one.
    pub polls: u32,
    /// The number of jobs that are pending in this process, this one among them; on a store that
    /// nodes [share](crate::store::StoreProperties::shared), this node's share of all that are.
    pub jobs: usize,
    /// The number of these that belong to the same [principal](crate::Builder::principal), this one among
    /// them. Jobs without a principal count as those of one.
    pub own_jobs: usize,
    /// The number of principals that these jobs belong to; 1 where no principals are told apart.
    pub principals: usize,
    /// When this is asked.
    pub now: Instant,
}

impl<'a> ObservedJob<'a> {
    /// The only job there is: of a route, accepted `age` ago, running since then, and of which
    /// nothing else is known; now, by tokio's clock.
    #[must_use]
    pub fn new(route: &'a str, age: Duration) -> Self {
        Self::at(tokio::time::Instant::now(), route, age)
    }

    pub(crate) fn at(now: tokio::time::Instant, route: &'a str, age: Duration) -> Self {
        Self {
            route,
            age,
            running_for: Some(age),
            progress: None,
            polls: 0,
            jobs: 1,
            own_jobs: 1,
            principals: 1,
            now: now.into_std(),
        }
    }

    /// How long the handler has been running, or the job waiting for it.
    pub(super) fn elapsed(&self) -> Duration {
        self.running_for.unwrap_or(self.age)
    }

    /// What is left at the pace of the handler's own progress so far; `None` without a pace.
    ///
    /// It is at least 1/32 of the time that has passed, so that polls get rarer while a handler
    /// stands still before its end, and at most four times that time, since little can be said
    /// from the first few percent.
    pub(super) fn left_by_progress(&self) -> Option<Duration> {
        let elapsed = self.running_for?;
        let done = self.progress?.ratio().filter(|done| *done > 0.0)?;
        let left = elapsed.as_secs_f64() * (1.0 - done) / done;
        (!elapsed.is_zero()).then(|| seconds(left).clamp(elapsed / 32, elapsed.saturating_mul(4)))
    }
}

/// Chooses the Retry-After of pending answers.
///
/// Implemented by closures, so a fixed value or a script needs no type:
///
/// ```
/// use std::time::Duration;
/// use tower_async_job::{AsyncJobLayer, ObservedJob};
///
/// let layer = AsyncJobLayer::builder()
///     .estimator(|pending: &ObservedJob<'_>| match pending.polls {
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
    fn retry_after(&self, pending: &ObservedJob<'_>) -> Duration;

    /// Returns whether the delay for such a job is a guess, and rests neither on past jobs of the
    /// route nor on the handler's progress. A connection is not
    /// [closed](crate::Builder::close_connections_from) for a guess.
    ///
    /// It is asked with what [`retry_after`](Self::retry_after) was asked with, after it, and only
    /// where the answer matters. Returns `false` by default, and so of closures: the application
    /// knows its own delays.
    fn is_guess(&self, pending: &ObservedJob<'_>) -> bool {
        let _ = pending;
        false
    }

    /// How long the job is expected to run yet, by what is known of others like it: for the page
    /// that people look at, where the handler reports no progress. `None`, the default, if nothing
    /// is known.
    fn remaining(&self, pending: &ObservedJob<'_>) -> Option<Duration> {
        let _ = pending;
        None
    }

    /// A job of this route has ended as `done`, after its handler had run for `duration` since the
    /// acceptance. Does nothing by default.
    ///
    /// It is told in the job's task, once the end is stored; on a store that nodes
    /// [share](crate::store::StoreProperties::shared) also when this node delivers the result of a job
    /// that ran on another, though once for each job. Requests that were answered inline
    /// were never polled for and are not told. Nor are jobs that failed, timed out, were cancelled
    /// or lost: these broke off, at a time that says nothing about how long the work takes. An
    /// error that the handler answers with is an answer like any other, and is told.
    fn completed(&self, route: &str, duration: Duration) {
        let _ = (route, duration);
    }
}

impl<F> Estimator for F
where
    F: Fn(&ObservedJob<'_>) -> Duration + Send + Sync + 'static,
{
    fn retry_after(&self, pending: &ObservedJob<'_>) -> Duration {
        self(pending)
    }
}

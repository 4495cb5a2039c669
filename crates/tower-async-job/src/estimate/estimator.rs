//! The interface of estimators, which choose Retry-After.

use std::time::{Duration, Instant};

use http_polling::Progress;

use super::time::seconds;

/// The time from the end of a lease within which a sweep has noticed it.
const TAKEOVER: Duration = Duration::from_secs(1);

/// A pending job whose Retry-After is chosen.
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
    /// The time since the job's acceptance.
    pub age: Duration,
    /// The time that the handler has run since the acceptance; `None` while the job is queued.
    pub running_for: Option<Duration>,
    /// The number of runs that have begun; 0 before the first.
    pub attempt: u32,
    /// The handler's last report.
    pub progress: Option<&'a Progress>,
    /// The time since the node that has the job took it, or last renewed its lease. `None` if no node
    /// has it, or if leases last as long as the process.
    pub renewed_ago: Option<Duration>,
    /// The time until that lease ends, unless the node renews it.
    pub lease_remaining: Option<Duration>,
    /// The number of answers that this client has had before.
    pub polls: u32,
    /// The number of jobs pending in this process, including this one; on a store that nodes
    /// [share](crate::store::StoreProperties::shared), this node's share of all pending jobs.
    pub jobs: usize,
    /// The number of these that belong to the same [principal](crate::Builder::principal),
    /// including this one. Jobs without a principal count as those of one.
    pub own_jobs: usize,
    /// The number of principals of these jobs; 1 if the layer has no principals.
    pub principals: usize,
    /// The current time.
    pub now: Instant,
}

impl<'a> ObservedJob<'a> {
    /// Creates the only job: on a route, accepted `age` ago, running since then, without further
    /// data. Its current time is that of tokio's clock.
    #[must_use]
    pub fn new(route: &'a str, age: Duration) -> Self {
        Self::at(route, age, tokio::time::Instant::now().into_std())
    }

    #[inline]
    pub(crate) fn at(route: &'a str, age: Duration, now: Instant) -> Self {
        Self {
            route,
            age,
            running_for: Some(age),
            attempt: 1,
            progress: None,
            renewed_ago: None,
            lease_remaining: None,
            polls: 0,
            jobs: 1,
            own_jobs: 1,
            principals: 1,
            now,
        }
    }

    /// Returns the time until the job is taken from its node, if that node is silent; `None`
    /// otherwise.
    ///
    /// A node renews a lease three times before it would end. One that has not renewed it for more
    /// than half of that time has probably died. Then the job does not end before it is run again or
    /// lost, whatever its progress and past jobs say, and an earlier poll finds nothing new.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_async_job::ObservedJob;
    ///
    /// let mut pending = ObservedJob::new("POST /report", Duration::from_secs(60));
    /// pending.renewed_ago = Some(Duration::from_secs(20));
    /// pending.lease_remaining = Some(Duration::from_secs(10));
    /// assert_eq!(pending.until_takeover(), Some(Duration::from_secs(11)));
    /// ```
    #[must_use]
    pub fn until_takeover(&self) -> Option<Duration> {
        let lease = self.lease_remaining?;
        (self.renewed_ago? > lease).then(|| lease.saturating_add(TAKEOVER))
    }

    /// Returns the delay that follows from the job itself: the time until it is taken from a silent
    /// node, or else the time left at the pace of its progress. `None` if nothing is known.
    pub(super) fn left(&self) -> Option<Duration> {
        self.until_takeover().or_else(|| self.left_by_progress())
    }

    /// Returns the time left at the pace of the handler's own progress; `None` without a pace.
    ///
    /// It is at least 1/32 of the elapsed time, so that polls become rarer while a handler stands
    /// still before its end, and at most four times that time, since the first few percent say
    /// little.
    fn left_by_progress(&self) -> Option<Duration> {
        let elapsed = self.running_for?;
        let done = self.progress?.ratio().filter(|done| *done > 0.0)?;
        if elapsed.is_zero() {
            return None;
        }
        let left = seconds(elapsed.as_secs_f64() * (1.0 - done) / done);
        let left = left.clamp(elapsed / 32, elapsed.saturating_mul(4));
        Some(match self.until_end_of_further_run(elapsed, done) {
            Some(latest) => left.min(latest),
            None => left,
        })
    }

    /// Returns the time until a further run would end, if the node has died right after it was last
    /// heard of: the progress then stands still, and its pace seems to slow down.
    fn until_end_of_further_run(&self, elapsed: Duration, done: f64) -> Option<Duration> {
        let heard_at = elapsed.saturating_sub(self.renewed_ago?);
        let whole = seconds(heard_at.as_secs_f64() / done);
        let taken_over = self.lease_remaining?.saturating_add(TAKEOVER);
        Some(taken_over.saturating_add(whole))
    }

    /// Returns the delay of a queued job, half of the time that it has waited. If a run of it came to
    /// no end, it has not waited since its acceptance, and the delay is 1/32 of its age.
    pub(super) fn part_of_wait(&self) -> Duration {
        match self.attempt {
            0 => self.age / 2,
            _ => self.age / 32,
        }
    }
}

/// A policy that chooses the Retry-After of pending answers.
///
/// Closures implement it, so a fixed value or a script needs no type:
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
    /// Returns the delay until the next poll. On the wire, `Retry-After` rounds it up to whole
    /// seconds, at least one (RFC 9110, section 10.2.3), and `retry-after-ms` adds it in
    /// milliseconds.
    fn retry_after(&self, pending: &ObservedJob<'_>) -> Duration;

    /// Returns whether the delay for such a job is a guess, based neither on past jobs of the route
    /// nor on the job itself. A connection is not
    /// [closed](crate::Builder::close_connections_from) for a guess.
    ///
    /// It is called after [`retry_after`](Self::retry_after) with the same argument, and only if
    /// the answer matters. Returns `false` by default, and so for closures: the application knows
    /// its own delays.
    fn is_guess(&self, pending: &ObservedJob<'_>) -> bool {
        let _ = pending;
        false
    }

    /// Returns the expected remaining time of the job, based on similar jobs, for the page if the
    /// handler reports no progress. `None`, the default, if nothing is known.
    fn remaining(&self, pending: &ObservedJob<'_>) -> Option<Duration> {
        let _ = pending;
        None
    }

    /// Notes that a job of this route has ended as `done`, after its handler had run for `duration`
    /// since the acceptance. Does nothing by default.
    ///
    /// It is called in the job's task, once the end is stored. On a store that nodes
    /// [share](crate::store::StoreProperties::shared), it is also called when this node delivers the
    /// result of a job that ran on another node, once for each job. It is not called for requests
    /// answered inline, which were never polled, nor for jobs that failed, timed out, were
    /// cancelled or lost, whose ends say nothing about the duration of the work. An error response
    /// of the handler counts as an answer.
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

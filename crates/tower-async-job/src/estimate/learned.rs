use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    thread::available_parallelism,
    time::Duration,
};

use super::{
    Estimator, ObservedJob,
    durations::milliseconds,
    load::Load,
    routes::Routes,
    schedule::Schedule,
    time::{now, seconds},
};

/// The first delay while nothing is known, in seconds.
const FIRST_GUESS: f64 = 1.0;

/// The default estimator: learns the durations of each route's jobs, and schedules polls where they
/// pay.
///
/// The delay of an answer is the first of these that is known:
///
/// 1. the [time until](ObservedJob::until_takeover) the job is taken from a silent node, which has
///    probably died;
/// 2. the time left at the pace of the handler's own [progress](crate::JobContext::progress), or
///    until a further run would end, if the node has died since it was last heard of;
/// 3. the time until the next poll of the route's *schedule*: of all schedules with about [five
///    polls per job](Self::polls_per_job), the one that delivers results fastest for jobs as long
///    as the last 512 to 1,024. If jobs always take half a minute, that is one poll after half a
///    minute;
/// 4. for a route with fewer than eight past jobs, or a job longer than all of them, a part of
///    the elapsed time, so that polls become rarer as it continues.
///
/// It is kept within [bounds](Self::between), prolonged by up to 1/64, and raised to keep the polls
/// of all jobs pending in this process, or of this node's share of all, within a
/// [budget](Self::polls_per_second), even if they were submitted together. Each
/// [principal](crate::Builder::principal) has its share of the budget: many jobs of one do not delay
/// the polls of another that has few.
///
/// Routes learn separately, up to a [number of routes](Self::max_routes); rare ones learn together.
/// A route takes a few KiB, at most 20, and the polls to come take 64 KiB. Nothing outlives the
/// process.
///
/// ```
/// use std::time::Duration;
/// use tower_async_job::{AsyncJobLayer, Estimator, Learned, ObservedJob};
///
/// let estimator = Learned::new().polls_per_job(4.0).polls_per_second(200);
/// for _ in 0..20 {
///     estimator.completed("POST /report", Duration::from_secs(30));
/// }
/// let delay = estimator.retry_after(&ObservedJob::new("POST /report", Duration::ZERO));
/// assert!(delay >= Duration::from_secs(30) && delay < Duration::from_secs(32));
///
/// let layer = AsyncJobLayer::builder().estimator(estimator).build()?;
/// # Ok::<(), tower_async_job::ConfigError>(())
/// ```
#[must_use = "an estimator does nothing until it is asked"]
pub struct Learned {
    min: f64,
    max: f64,
    polls_per_job: f64,
    max_routes: usize,
    load: Load,
    routes: RwLock<Routes>,
}

impl Learned {
    /// Creates an estimator with the defaults, which knows nothing yet.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_async_job::{Estimator, Learned, ObservedJob};
    ///
    /// let delay = Learned::new().retry_after(&ObservedJob::new("POST /report", Duration::ZERO));
    /// assert!(delay <= Duration::from_secs(1));
    /// ```
    pub fn new() -> Self {
        Self {
            min: 0.1,
            max: 60.0,
            polls_per_job: 5.0,
            max_routes: 256,
            load: Load::new(default_polls_per_second(), now()),
            routes: RwLock::default(),
        }
    }

    /// Sets the approximate number of polls per job of a route, if they all help. Default 5; a value
    /// below 1, or not a number, counts as 1.
    ///
    /// For durations that vary like those of most services, half as many polls delay results twice
    /// as long.
    pub fn polls_per_job(mut self, polls: f64) -> Self {
        self.polls_per_job = polls.max(1.0);
        self
    }

    /// Sets the maximum polls per second of all jobs pending in this process; 0 counts as 1.
    /// Default 5,000 for each core that the process may use ([`available_parallelism`]), and at
    /// most 10,000.
    ///
    /// A pending poll over HTTP/1 takes 25 to 50 µs of CPU time, 60 % of it in the kernel, and more
    /// under low load. So the default uses at most a quarter of the CPU, and less with more than
    /// two cores.
    ///
    /// The budget takes precedence over the [bounds](Self::between): a poll is delayed by up to
    /// twice the time that all pending jobs need for one poll each, and by up to 15 minutes. It
    /// holds in each second, if clients keep to their delays; a budget below 9 holds on average.
    ///
    /// Half of it is shared equally by the [principals](crate::Builder::principal) with pending
    /// jobs. If a principal has less than half of the average number of jobs, its polls are delayed
    /// only as its own share requires, however many jobs the others have. These make room for the
    /// polls that such principals made recently, up to half of the budget. Only if many such
    /// principals arrive at once, while the slots of the next seconds are full, do polls exceed the
    /// budget for a time, by at most half.
    pub fn polls_per_second(mut self, polls: u32) -> Self {
        self.load = Load::new(polls, now());
        self
    }

    /// Sets the bounds of a delay before load raises it. Default 100 ms and 60 s, like those of
    /// `tower-poll`'s clients; a `max` below `min` counts as `min`.
    pub fn between(mut self, min: Duration, max: Duration) -> Self {
        self.min = min.as_secs_f64();
        self.max = max.max(min).as_secs_f64();
        self
    }

    /// Sets the number of routes that learn separately. Default 256. Beyond it, a new route
    /// replaces the one whose last job is oldest.
    pub fn max_routes(mut self, routes: usize) -> Self {
        self.max_routes = routes;
        self
    }

    /// Returns the number of routes that learn separately, and that of new routes.
    #[cfg(test)]
    pub(super) fn routes_kept(&self) -> (usize, usize) {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        routes.kept()
    }

    fn schedule(&self, route: &str) -> Arc<Schedule> {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        routes.schedule(route).clone()
    }

    /// Returns the delay in seconds that past jobs suggest.
    fn expected(&self, pending: &ObservedJob<'_>) -> f64 {
        let schedule = self.schedule(pending.route);
        let Some(elapsed) = pending.running_for else {
            // If it starts now, its first poll is still this far off.
            let first = schedule.next_after(0.0).unwrap_or(FIRST_GUESS);
            return first.max(pending.part_of_wait().as_secs_f64());
        };
        let elapsed = elapsed.as_secs_f64();
        match schedule.next_after(elapsed) {
            Some(next) => next - elapsed,
            None if schedule.is_empty() => (elapsed / 2.0).max(FIRST_GUESS),
            // The further beyond the usual range, the less is known. If durations vary little,
            // slightly beyond means little.
            None => ((elapsed - schedule.median()) / 2.0).max(elapsed / 8.0),
        }
    }
}

impl Estimator for Learned {
    fn retry_after(&self, pending: &ObservedJob<'_>) -> Duration {
        let expected = match pending.left() {
            Some(left) => left.as_secs_f64(),
            None => self.expected(pending),
        };
        let delay = expected.clamp(self.min, self.max);
        seconds(self.load.raise(delay, pending))
    }

    fn is_guess(&self, pending: &ObservedJob<'_>) -> bool {
        let elapsed = pending.running_for.unwrap_or_default().as_secs_f64();
        let is_known = || self.schedule(pending.route).next_after(elapsed).is_some();
        pending.left().is_none() && !is_known()
    }

    fn remaining(&self, pending: &ObservedJob<'_>) -> Option<Duration> {
        let elapsed = pending.running_for.unwrap_or_default().as_secs_f64();
        let left = self.schedule(pending.route).median() - elapsed;
        (left > 0.0).then(|| seconds(left))
    }

    fn completed(&self, route: &str, duration: Duration) {
        let bins = {
            let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
            routes.record(route, milliseconds(duration), self.max_routes);
            routes.durations(route).bins_if_stale()
        };
        // Polls are answered meanwhile.
        if let Some(bins) = bins {
            let schedule = Arc::new(Schedule::with_polls(&bins, self.polls_per_job));
            let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
            routes.durations(route).schedule = schedule;
        }
    }
}

/// Returns the default of [`Learned::polls_per_second`].
fn default_polls_per_second() -> u32 {
    match available_parallelism() {
        Ok(cores) if cores.get() > 1 => 10_000,
        _ => 5_000,
    }
}

impl Default for Learned {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Learned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Learned")
            .field("polls_per_job", &self.polls_per_job)
            .field("load", &self.load)
            .finish_non_exhaustive()
    }
}

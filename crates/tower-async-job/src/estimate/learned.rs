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

/// The default estimator: learns from each route how long its jobs take, and has clients poll when
/// it pays.
///
/// The delay of an answer is
///
/// 1. from the handler's own [progress](crate::JobContext::progress) what is left at the pace so
///    far, where it reports any;
/// 2. else the time until the next poll of the route's *schedule*: of all ways to poll for jobs as
///    long as the last 512 to 1,024 were, with about [five polls per job](Self::polls_per_job), the
///    one that has results waiting shortest. Where jobs always take half a minute, that is one poll
///    after half a minute;
/// 3. else, when the route has had fewer than eight jobs or this one takes longer than all of
///    them, a part of the time that it has taken, so that polls get rarer as it goes on;
///
/// then kept within [bounds](Self::between), prolonged by up to 1/64, and raised so that the polls
/// of all jobs pending in this process, or this node's share of all, stay within a [budget](Self::polls_per_second),
/// also when they were submitted together. Each [principal](crate::Builder::principal) has its share
/// of the budget: very many jobs of one do not delay the polls of another that has few.
///
/// A route learns by itself, up to a [number of routes](Self::max_routes); rare ones learn
/// together. What is kept of a route is a few KiB, at most 20, and 64 KiB are kept of the polls to
/// come. Nothing outlasts the process.
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
    /// One that knows nothing yet, with the defaults.
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

    /// About how many polls each job of a route costs, where that many help. Default 5; what is
    /// below 1, or not a number, counts as 1.
    ///
    /// For durations that vary as those of most services do, half as many polls have results
    /// wait twice as long.
    pub fn polls_per_job(mut self, polls: f64) -> Self {
        self.polls_per_job = polls.max(1.0);
        self
    }

    /// The most polls a second of all jobs pending in this process together; 0 counts
    /// as 1. Default 5,000 for each core that the process may use
    /// ([`available_parallelism`]), and 10,000 at most.
    ///
    /// A pending poll over HTTP/1 takes 25 to 50 µs of CPU time, 60 % of it in the kernel: the less
    /// there is to do, the more. So the default is a quarter of the CPU at most, and less where there
    /// are more than two cores.
    ///
    /// The budget takes precedence over the [bounds](Self::between): a poll is put off by up to
    /// twice the time that all pending jobs need for one poll each, and up to 15 minutes. It is kept
    /// in each second, as far as clients do what they are told; one below 9, on average.
    ///
    /// Half of it is shared equally by the [principals](crate::Builder::principal) that have pending
    /// jobs. Where one has less than half as many as they have on average, its polls are put off
    /// by what its share requires alone, however many jobs the others have. These pay: their polls
    /// leave room for as many polls as such principals made recently, up to half of the budget. Only
    /// when many such principals come at once, while the slots of the next seconds are full, are
    /// there more polls than the budget for a time: half as many again at most.
    pub fn polls_per_second(mut self, polls: u32) -> Self {
        self.load = Load::new(polls, now());
        self
    }

    /// The bounds of a delay before it is raised by load. Default 100 ms and 60 s, as
    /// `tower-poll`'s clients have it; a `max` below `min` counts as `min`.
    pub fn between(mut self, min: Duration, max: Duration) -> Self {
        self.min = min.as_secs_f64();
        self.max = max.max(min).as_secs_f64();
        self
    }

    /// How many routes learn by themselves. Default 256. Beyond, the one that has had no job for
    /// longest is forgotten for a new one.
    pub fn max_routes(mut self, routes: usize) -> Self {
        self.max_routes = routes;
        self
    }

    /// How many routes learn by themselves, and how many are new.
    #[cfg(test)]
    pub(super) fn routes_kept(&self) -> (usize, usize) {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        routes.kept()
    }

    fn schedule(&self, route: &str) -> Arc<Schedule> {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        routes.schedule(route).clone()
    }

    /// What past jobs have to say.
    fn expected(&self, pending: &ObservedJob<'_>) -> f64 {
        let schedule = self.schedule(pending.route);
        let Some(elapsed) = pending.running_for else {
            // Were it to start now, its first poll would be as far off as ever.
            let first = schedule.next_after(0.0).unwrap_or(FIRST_GUESS);
            return first.max(pending.age.as_secs_f64() / 2.0);
        };
        let elapsed = elapsed.as_secs_f64();
        match schedule.next_after(elapsed) {
            Some(next) => next - elapsed,
            None if schedule.is_empty() => (elapsed / 2.0).max(FIRST_GUESS),
            // The further beyond what is usual, the less is known. Where durations vary little,
            // being just beyond means little.
            None => ((elapsed - schedule.median()) / 2.0).max(elapsed / 8.0),
        }
    }
}

impl Estimator for Learned {
    fn retry_after(&self, pending: &ObservedJob<'_>) -> Duration {
        let expected = match pending.left_by_progress() {
            Some(left) => left.as_secs_f64(),
            None => self.expected(pending),
        };
        let delay = expected.clamp(self.min, self.max);
        seconds(self.load.raise(delay, pending))
    }

    fn is_guess(&self, pending: &ObservedJob<'_>) -> bool {
        let elapsed = pending.running_for.unwrap_or_default().as_secs_f64();
        let is_known = || self.schedule(pending.route).next_after(elapsed).is_some();
        pending.left_by_progress().is_none() && !is_known()
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

/// The default of [`Learned::polls_per_second`].
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

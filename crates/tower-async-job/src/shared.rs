//! What all services of one layer have in common.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering, fence},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body::Body;
use tokio::{task::yield_now, time::Instant};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
use tower::BoxError;
use tower_async_job_core::{Detail, JobId, JobRecord, JobStore, Principal, StoreError};

use crate::{
    alarm::Alarm,
    answer::Templates,
    body::SpoolRoom,
    capacity::{Admission, Capacity, Limits, NoPlace},
    config::Config,
    deliveries::Deliveries,
    estimate::{Pending, Sizes},
    expected::Expected,
    hold::{HoldLimits, Holds},
    job::Job,
    links::Links,
    metrics::{self, Undelivered},
    owners::Owners,
    panics,
    recording_room::RecordingRoom,
    registry::Registry,
    route_names::RouteNames,
    signal::Signal,
    trace::{self, Traced},
};

/// As good as never.
const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// The end of a shutdown's grace, in which clients are not told to come.
const LAST_MOMENT: Duration = Duration::from_secs(2);

pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) templates: Templates,
    pub(crate) route_names: RouteNames,
    pub(crate) store: Arc<dyn JobStore>,
    pub(crate) tasks: TaskTracker,
    capacity: Option<Arc<Capacity>>,
    /// The jobs that this process runs.
    pub(crate) registry: Registry,
    /// The principals that these belong to, where jobs have any.
    pub(crate) owners: Option<Arc<Owners>>,
    pub(crate) holds: Holds,
    /// The websockets and event streams, where they are limited.
    pub(crate) streams: Option<Holds>,
    pub(crate) links: Links,
    pub(crate) undelivered: Undelivered,
    pub(crate) expected: Expected,
    pub(crate) deliveries: Arc<Deliveries>,
    /// The sizes of results.
    pub(crate) sizes: Sizes,
    pub(crate) recording_room: Arc<RecordingRoom>,
    pub(crate) spool_room: Arc<SpoolRoom>,
    /// The node shuts down.
    pub(crate) stopping: Signal,
    /// The end of the shutdown's grace.
    grace_end: Mutex<Option<Instant>>,
    /// The grace of the shutdown is over: nothing is driven on.
    pub(crate) given_up: Signal,
    /// The shutdown is over: polls are held no longer.
    pub(crate) over: Signal,
    /// Whether there is a task that keeps house.
    pub(crate) housekeeping: AtomicBool,
    /// The time at which it does.
    pub(crate) alarm: Arc<Alarm>,
}

impl Shared {
    pub(crate) fn new(config: Config, store: Arc<dyn JobStore>) -> Self {
        metrics::describe();
        let alarm = Arc::new(Alarm::default());
        let keep = config.retention_after_delivery;
        Self {
            capacity: capacity_of(&config).map(Arc::new),
            owners: config.principal.is_some().then(Arc::default),
            holds: Holds::new(config.hold_limits),
            streams: streams_of(&config).map(Holds::new),
            links: Links::default(),
            undelivered: Undelivered::default(),
            expected: Expected::new(),
            deliveries: Arc::new(Deliveries::new(store.clone(), keep, alarm.clone())),
            sizes: Sizes::default(),
            recording_room: Arc::new(RecordingRoom::new(config.recording_room)),
            spool_room: Arc::new(SpoolRoom::new(
                config.spool_room,
                config.spool_room_per_principal,
            )),
            stopping: Signal::default(),
            grace_end: Mutex::default(),
            given_up: Signal::default(),
            over: Signal::default(),
            templates: Templates::new(&config),
            route_names: RouteNames::default(),
            config,
            store,
            tasks: TaskTracker::new(),
            registry: Registry::new(),
            housekeeping: AtomicBool::new(false),
            alarm,
        }
    }

    /// `None` once the node shuts down. What is spawned before this is dropped, the shutdown waits
    /// for.
    pub(crate) fn hold_open(&self) -> Option<TaskTrackerToken> {
        let open = self.tasks.token();
        // Paired with that of `stop`: either this sees the signal, or the shutdown sees the token.
        fence(Ordering::SeqCst);
        (!self.stopping.is_set()).then_some(open)
    }

    /// Begins the shutdown: no job is made any more. Returns the end of its grace, the earliest that
    /// was given.
    pub(crate) fn stop(&self, end: Instant) -> Instant {
        let end = {
            let mut earliest = self.grace_end();
            let end = earliest.map_or(end, |earliest| earliest.min(end));
            *earliest.insert(end)
        };
        self.stopping.set();
        fence(Ordering::SeqCst);
        self.tasks.close();
        end
    }

    /// Ends the shutdown.
    pub(crate) async fn end(&self) {
        self.log_losses().await;
        self.over.set();
    }

    /// Chooses the delay until a client's next poll, which it is expected for.
    pub(crate) fn retry_after(&self, id: &JobId, pending: &Pending<'_>) -> Duration {
        let mut delay = self.config.estimator.retry_after(pending);
        if self.stopping.is_set() {
            delay = delay.min(self.latest_poll(id).max(Duration::from_secs(1)));
        }
        self.expected.told(id, pending.now, delay);
        delay
    }

    /// The longest delay with which a client still has an answer within the grace of the shutdown.
    /// Jobs differ in it, so that their clients do not come all at once.
    fn latest_poll(&self, id: &JobId) -> Duration {
        let spread = f64::from(id.to_bits() as u8) / f64::from(u8::MAX);
        self.grace_left()
            .saturating_sub(LAST_MOMENT)
            .mul_f64(1.0 - spread / 4.0)
    }

    /// Returns how long the grace of the shutdown still is, where no client could come again within it.
    pub(crate) fn last_moment(&self) -> Option<Duration> {
        let left = self.stopping.is_set().then(|| self.grace_left());
        left.filter(|left| *left < 2 * LAST_MOMENT)
    }

    fn grace_left(&self) -> Duration {
        let end = self.grace_end().unwrap_or_else(Instant::now);
        end.saturating_duration_since(Instant::now())
    }

    fn grace_end(&self) -> MutexGuard<'_, Option<Instant>> {
        self.grace_end
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the grace of the shutdown: whatever still runs is dropped, and the jobs handed back.
    pub(crate) async fn give_up(&self) {
        // Before the registry is gone through: a job that is entered later looks at it.
        self.given_up.set();
        let mut last = None;
        while let Some(id) = self.registry.abandon_after(last) {
            last = Some(id);
            yield_now().await;
        }
    }

    /// Runs a job in a tracked task; the current span goes along.
    pub(crate) fn spawn<R, E>(&self, job: Job<R, E>)
    where
        R: Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BoxError>,
        E: Into<BoxError> + Send + 'static,
    {
        match &self.config.wrap {
            Some(wrap) => {
                let wrapped = wrap(Box::pin(Traced::new(job)));
                self.tasks
                    .spawn(panics::logged("the hook around a job", wrapped))
            }
            None if trace::is_wanted() => self.tasks.spawn(Traced::new(job)),
            None => self.tasks.spawn(job),
        };
    }

    /// Reads a job, without a boxed future where the store has it at hand.
    pub(crate) async fn read(
        &self,
        id: &JobId,
        detail: Detail,
    ) -> Result<Option<JobRecord>, StoreError> {
        // No `match`, which would keep room for a record while it waits.
        if let Some(read) = self.store.read_now(id, detail) {
            return read;
        }
        self.store.read(id, detail).await
    }

    /// Returns whether there is room for the result of another job of a route, if the size of its
    /// results is known. The route is asked for only if room is short.
    pub(crate) fn check_room(&self, route: impl FnOnce() -> Arc<str>) -> Result<(), StoreError> {
        let largest = self.sizes.largest();
        if largest == 0 {
            return Ok(());
        }
        let checked = panics::catching("the store, or the function for routes,", || {
            if self.store.check_room(largest).is_ok() {
                return Ok(());
            }
            match self.sizes.of(&route()) {
                0 => Ok(()),
                bytes => self.store.check_room(bytes),
            }
        });
        checked.unwrap_or(Ok(()))
    }

    /// Returns whether requests that are never deferred have limits or a deadline too.
    pub(crate) fn governs_all(&self) -> bool {
        self.capacity.is_some() || self.streams.is_some() || self.config.deadline_is_set
    }

    /// Takes a place for a request that may become a job.
    pub(crate) fn admit(
        &self,
        principal: Option<&Principal>,
    ) -> Result<Option<Box<Admission>>, NoPlace> {
        if self.stopping.is_set() {
            return Err(NoPlace::STOPPING);
        }
        self.place(principal)
    }

    /// Takes a place among the running and queued requests, where there is a limit.
    pub(crate) fn place(
        &self,
        principal: Option<&Principal>,
    ) -> Result<Option<Box<Admission>>, NoPlace> {
        let admission = self.capacity.as_ref();
        admission
            .map(|capacity| capacity.admit(principal.cloned()).map(Box::new))
            .transpose()
    }
}

fn capacity_of(config: &Config) -> Option<Capacity> {
    let (overall, each) = (config.limits, config.limits_per_principal);
    (overall.is_some() || each.is_some()).then(|| {
        let none = Limits::NONE;
        Capacity::new(overall.unwrap_or(none), each.unwrap_or(none))
    })
}

/// The limits of streams: those that are set, or else the default, if requests are limited.
fn streams_of(config: &Config) -> Option<HoldLimits> {
    let of_each = config.limits_per_principal.map(|_| 100);
    let is_limited = config.limits.is_some() || of_each.is_some();
    let default = is_limited.then_some(HoldLimits {
        overall: 10_000,
        per_principal: of_each.unwrap_or(usize::MAX),
    });
    config.streams.or(default)
}

/// The time after a duration from now; no duration is too long.
pub(crate) fn later(duration: Duration) -> Instant {
    after(Instant::now(), duration)
}

/// The time after a duration; no duration is too long.
pub(crate) fn after(begin: Instant, duration: Duration) -> Instant {
    let end = begin.checked_add(duration);
    end.unwrap_or_else(|| begin + FAR_FUTURE)
}

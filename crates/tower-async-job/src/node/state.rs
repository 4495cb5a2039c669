//! The part of a process that runs jobs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering, fence},
    },
    time::Duration,
};

use http_polling::JobState;
use tokio::{sync::Notify, task::yield_now, time::Instant};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
use tower_async_job_core::{
    Call, Detail, JobId, JobRecord, JobStore, Principal, StoreError, Upkeep,
};

use crate::{
    body::delivery::Deliveries,
    config::NodeConfig,
    estimate::{ObservedJob, Sizes},
    node::{
        census::Census, clocks::Clocks, expected::Expected, health::Health, holds::Holds,
        owners::Owners, recording_room::RecordingRoom, registry::Registry, releases::Releases,
        shutdown::Shutdown, submitters::Submitters, timed,
    },
    observe::{
        links::Links,
        metrics::{Meter, Undelivered},
        recent::Recent,
    },
    panics,
    time::alarm::Alarm,
};

/// The state with which a process runs jobs. Shared by all services of a layer.
pub(crate) struct Node {
    pub(crate) config: NodeConfig,
    pub(crate) store: Arc<dyn JobStore>,
    pub(crate) tasks: TaskTracker,
    pub(crate) registry: Registry,
    /// The principals of these jobs, if jobs have any.
    pub(crate) owners: Option<Arc<Owners>>,
    /// The pending jobs of all nodes, if the store is shared.
    others: Option<Others>,
    /// The websockets and event streams, if they are limited.
    pub(crate) streams: Option<Arc<Holds>>,
    pub(crate) links: Links,
    pub(crate) meter: Meter,
    pub(crate) health: Arc<Health>,
    pub(crate) undelivered: Undelivered,
    pub(crate) expected: Expected,
    pub(crate) submitters: Arc<Submitters>,
    pub(crate) deliveries: Arc<Deliveries>,
    pub(crate) sizes: Sizes,
    pub(crate) recording_room: Arc<RecordingRoom>,
    /// The room for what the store holds in memory of results in chunks. It is separate, so that
    /// short results do not wait for long ones.
    pub(crate) chunks_room: Arc<RecordingRoom>,
    pub(crate) shutdown: Arc<Shutdown>,
    pub(crate) releases: Arc<Releases>,
    /// True if other processes may change the store's jobs.
    pub(crate) is_shared: bool,
    pub(crate) clocks: Clocks,
    /// True while the store may hold jobs of other processes.
    pub(crate) has_orphans: AtomicBool,
    /// True while a task keeps house.
    pub(crate) housekeeping: AtomicBool,
    /// True while a task renews leases.
    pub(crate) renewing: AtomicBool,
    /// Notified to renew leases immediately.
    pub(crate) renew_now: Arc<Notify>,
    /// The shortest retention of a result, in ms.
    retention: AtomicU64,
    /// The time of the next sweep.
    pub(crate) alarm: Arc<Alarm>,
}

#[derive(Default)]
struct Others {
    census: Census,
    /// The jobs already learned from, so that repeated deliveries are ignored.
    learned: Recent<()>,
}

impl Node {
    pub(crate) fn new(config: NodeConfig, store: Arc<dyn JobStore>) -> Self {
        let properties = store.properties();
        let meter = Meter::new(config.name.as_ref(), properties.name);
        let health = Arc::new(Health::new(!timed::outlives_process(properties)));
        let store = timed::bounded(store, &health, &meter);
        let tasks = TaskTracker::new();
        let alarm = Arc::new(Alarm::default());
        let shutdown = Arc::<Shutdown>::default();
        let keep = config.retention_after_delivery;
        Self {
            owners: config.has_principals.then(Arc::default),
            others: store.properties().shared.then(Others::default),
            streams: config.streams.map(Holds::new).map(Arc::new),
            links: Links::default(),
            undelivered: Undelivered::new(&meter),
            expected: Expected::new(),
            submitters: Arc::default(),
            deliveries: Arc::new(Deliveries::new(store.clone(), keep, alarm.clone())),
            sizes: Sizes::default(),
            recording_room: Arc::new(RecordingRoom::new(config.recording_room)),
            chunks_room: Arc::new(RecordingRoom::new(config.recording_room)),
            releases: Arc::new(Releases::new(
                store.clone(),
                tasks.clone(),
                shutdown.clone(),
                meter.clone(),
            )),
            meter,
            health,
            shutdown,
            registry: Registry::new(store.properties().lease),
            is_shared: store.properties().shared,
            clocks: Clocks::default(),
            has_orphans: AtomicBool::new(timed::outlives_process(store.properties())),
            config,
            store,
            tasks,
            housekeeping: AtomicBool::new(false),
            renewing: AtomicBool::new(false),
            renew_now: Arc::default(),
            retention: AtomicU64::new(u64::MAX),
            alarm,
        }
    }

    /// Notes that results may be kept for this time only.
    pub(crate) fn keeps_for(&self, retention: Duration) {
        let millis = u64::try_from(retention.as_millis()).unwrap_or(u64::MAX);
        if millis < self.retention.load(Ordering::Relaxed) {
            self.retention.fetch_min(millis, Ordering::Relaxed);
        }
    }

    /// Ensures a sweep in time for a result that is kept from now.
    pub(crate) fn sweep_after_end(&self) {
        let shortest = Duration::from_millis(self.retention.load(Ordering::Relaxed));
        self.alarm.within(shortest);
    }

    /// Delays the end of a shutdown until work spawned before the token is dropped is done. `None`
    /// once the node shuts down.
    pub(crate) fn hold_open(&self) -> Option<TaskTrackerToken> {
        let open = self.tasks.token();
        // Paired with the fence of `stop`: either this sees the signal, or the shutdown sees the
        // token.
        fence(Ordering::SeqCst);
        (!self.shutdown.begun.is_set()).then_some(open)
    }

    /// Begins the shutdown: no more jobs are created. Returns the end of its grace, which is the
    /// earliest given.
    pub(crate) fn stop(&self, end: Instant) -> Instant {
        let end = self.shutdown.begin(end);
        fence(Ordering::SeqCst);
        self.tasks.close();
        end
    }

    /// Ends the grace of the shutdown: drops all running work, and releases its jobs.
    pub(crate) async fn give_up(&self) {
        // Set before the registry is visited, since jobs that are entered later check it.
        self.shutdown.given_up.set();
        let mut last = None;
        while let Some(id) = self.registry.abandon_after(last) {
            last = Some(id);
            yield_now().await;
        }
    }

    /// Chooses the delay until a client's next poll, and expects that poll.
    pub(crate) fn retry_after(&self, id: &JobId, pending: &ObservedJob<'_>) -> Duration {
        let delay = self.delay(id, pending);
        self.expected.told(id, pending.now, delay);
        delay
    }

    /// Chooses the delay until a next poll that may never come.
    pub(crate) fn delay(&self, id: &JobId, pending: &ObservedJob<'_>) -> Duration {
        let delay = self.config.estimator.retry_after(pending);
        if !self.shutdown.begun.is_set() {
            return delay;
        }
        let latest = self.shutdown.latest_poll(id);
        delay.min(latest.max(Duration::from_secs(1)))
    }

    /// Notes that a call to the store, which began then, was dropped before its answer came.
    pub(crate) fn gave_up(&self, call: Call, began: Instant, error: &StoreError) {
        if timed::outlives_process(self.store.properties()) {
            timed::note(&self.health, &self.meter, call, began, Some(error));
        }
    }

    pub(crate) fn swept(&self, upkeep: Upkeep) {
        self.meter.swept(&upkeep);
        self.health.note_nodes(upkeep.nodes);
        if let Some(others) = &self.others {
            others.census.note(upkeep, self.registry.pending());
        }
    }

    /// Learns once from a job that is done, and ran or is delivered on this node.
    pub(crate) fn learn(&self, job: JobId, route: &str, took: Duration) {
        if (self.others.as_ref()).is_none_or(|others| others.learned.insert(job, ())) {
            let estimator = &self.config.estimator;
            let _ = panics::catching("the estimator", || estimator.completed(route, took));
        }
    }

    /// Learns from a delivered job, which may have run on another node.
    pub(crate) fn learn_from(&self, record: &JobRecord) {
        if self.others.is_some()
            && record.state == JobState::Done
            && let Some(took) = record.running_for
        {
            self.learn(record.id, &record.route, took);
        }
    }

    /// Describes a pending job among all those of this process, or among this node's share of a
    /// shared store.
    pub(crate) fn among_others<'a>(
        &self,
        principal: Option<&Principal>,
        pending: ObservedJob<'a>,
    ) -> ObservedJob<'a> {
        let local = self.registry.pending();
        let others = self.others.as_ref();
        let share = others.and_then(|others| others.census.share_of(principal, local));
        let jobs = share.as_ref().map_or(local, |share| share.jobs).max(1);
        let (own_jobs, principals) = match (&self.owners, share) {
            (None, _) => (jobs, 1),
            (Some(_), Some(share)) => (share.own_jobs, share.principals),
            (Some(owners), None) => owners.share_of(principal),
        };
        ObservedJob {
            jobs,
            own_jobs,
            principals,
            ..pending
        }
    }

    /// Reads a job, without a boxed future if the store answers immediately.
    pub(crate) async fn read(
        &self,
        id: &JobId,
        detail: Detail,
    ) -> Result<Option<JobRecord>, StoreError> {
        // No `match`, which would hold memory for a record while it waits.
        if let Some(read) = self.store.read_now(id, detail) {
            return read;
        }
        self.store.read(id, detail).await
    }
}

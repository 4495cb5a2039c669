use std::{sync::Arc, time::Duration};

use http_polling::{JobState, ProblemType};
use metrics::{
    Label, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use tokio::time::Instant;
use tower_async_job_core::{Call, JobId, JobStore, Renewal, StoreError, Upkeep};

use crate::{observe::recent::Recent, panics};

/// Calls the application's recorder. Its panic ends no call, and must not leave a destructor.
fn recording(record: impl FnOnce()) {
    let _ = panics::catching("the recorder of metrics", record);
}

const INLINE: &str = "async_job_inline_total";
const ACCEPTED: &str = "async_job_accepted_total";
const REFUSED: &str = "async_job_refused_total";
const RUNNING: &str = "async_job_running";
const QUEUED: &str = "async_job_queued";
const ENDED: &str = "async_job_ended_total";
const STOPPED: &str = "async_job_stopped_total";
const DURATION: &str = "async_job_duration_seconds";
const POLLS: &str = "async_job_polls";
const HELD_POLLS: &str = "async_job_held_polls";
const STORE_BYTES: &str = "async_job_store_bytes";
const LOST: &str = "async_job_lost_total";
const RERUN: &str = "async_job_rerun_total";
const NOTIFICATIONS: &str = "async_job_notifications_total";
const RENEWALS_LOST: &str = "async_job_renewals_lost_total";
const STORE_UP: &str = "async_job_store_up";
const STORE_CALL: &str = "async_job_store_call_seconds";
const STORE_ERRORS: &str = "async_job_store_errors_total";
const STORE_PENDING: &str = "async_job_store_pending";
const STORE_OLDEST_DUE: &str = "async_job_store_oldest_due_seconds";
const STORE_NODES: &str = "async_job_store_nodes";
const DELIVERY_DELAY: &str = "async_job_delivery_delay_seconds";

/// Describes the metrics to the recorder, if it is installed already.
fn describe() {
    describe_counter!(
        INLINE,
        Unit::Count,
        "Deferrable requests answered in their connection"
    );
    describe_counter!(ACCEPTED, Unit::Count, "Requests that became jobs");
    describe_counter!(REFUSED, Unit::Count, "Requests refused by the layer");
    describe_gauge!(RUNNING, Unit::Count, "Jobs that run");
    describe_gauge!(QUEUED, Unit::Count, "Jobs that wait for a place to run");
    describe_counter!(ENDED, Unit::Count, "Jobs that have ended");
    describe_counter!(STOPPED, Unit::Count, "Runs stopped before their end");
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "From a job's acceptance to its end"
    );
    describe_histogram!(POLLS, Unit::Count, "Polls that it took to get a result");
    describe_gauge!(STORE_BYTES, Unit::Bytes, "Bytes that the job store keeps");
    describe_gauge!(HELD_POLLS, Unit::Count, "Polls that are held");
    describe_histogram!(
        DELIVERY_DELAY,
        Unit::Seconds,
        "From the end of a handler to the first answer with its result"
    );
    describe_counter!(LOST, Unit::Count, "Jobs that ended because their runs did");
    describe_counter!(RERUN, Unit::Count, "Runs of jobs that have run before");
    describe_counter!(
        NOTIFICATIONS,
        Unit::Count,
        "Attempts to notify of ends of jobs"
    );
    describe_counter!(RENEWALS_LOST, Unit::Count, "Leases that were not renewed");
    describe_gauge!(
        STORE_UP,
        Unit::Count,
        "1 while the job store answers, else 0"
    );
    describe_histogram!(STORE_CALL, Unit::Seconds, "Calls to the job store");
    describe_counter!(STORE_ERRORS, Unit::Count, "Calls that the job store failed");
    describe_gauge!(
        STORE_PENDING,
        Unit::Count,
        "Jobs that are pending on all nodes"
    );
    describe_gauge!(
        STORE_OLDEST_DUE,
        Unit::Seconds,
        "How long the next job has waited to be claimed"
    );
    describe_gauge!(STORE_NODES, Unit::Count, "Nodes that share the job store");
}

/// The labels of a node's metrics.
#[derive(Clone)]
pub(crate) struct Meter {
    node: Option<Arc<str>>,
    store: &'static str,
}

impl Meter {
    /// Creates the meter of a node, and describes the metrics to the recorder, if it is installed
    /// already.
    pub(crate) fn new(node: Option<&Arc<str>>, store: &'static str) -> Self {
        describe();
        Self {
            node: node.cloned(),
            store,
        }
    }

    pub(crate) fn inline(&self) {
        recording(|| counter!(INLINE, self.labels([])).increment(1));
    }

    pub(crate) fn accepted(&self) {
        recording(|| counter!(ACCEPTED, self.labels([])).increment(1));
    }

    pub(crate) fn refused(&self, problem: ProblemType) {
        let reason = problem.uri().rsplit(':').next().unwrap_or_default();
        recording(|| counter!(REFUSED, self.labels([("reason", reason)])).increment(1));
    }

    pub(crate) fn ended(&self, state: JobState) {
        let state = ("state", state.as_str());
        recording(|| counter!(ENDED, self.labels([state])).increment(1));
    }

    pub(crate) fn stopped(&self, reason: &'static str) {
        recording(|| counter!(STOPPED, self.labels([("reason", reason)])).increment(1));
    }

    /// Counts jobs that ended because their runs did.
    pub(crate) fn lost(&self, jobs: u64) {
        if jobs > 0 {
            recording(|| counter!(LOST, self.labels([])).increment(jobs));
        }
    }

    /// Counts a run, if it is not the first of its job.
    pub(crate) fn claimed(&self, attempt: u32) {
        if attempt > 1 {
            recording(|| counter!(RERUN, self.labels([])).increment(1));
        }
    }

    /// Counts an attempt to notify, with its result.
    pub(crate) fn notified(&self, result: &'static str) {
        recording(|| counter!(NOTIFICATIONS, self.labels([("result", result)])).increment(1));
    }

    /// Counts the leases that were not renewed.
    pub(crate) fn renewed(&self, renewals: &[Renewal]) {
        for (renewal, result) in [(Renewal::Lost, "lost"), (Renewal::Missing, "missing")] {
            let count = renewals.iter().filter(|it| **it == renewal).count();
            if count > 0 {
                let labels = || self.labels([("result", result)]);
                recording(|| counter!(RENEWALS_LOST, labels()).increment(count as u64));
            }
        }
    }

    /// Records the store's size. Call it when the size changes.
    pub(crate) fn stored(&self, store: &dyn JobStore) {
        if let Some(usage) = store.usage() {
            recording(|| gauge!(STORE_BYTES, self.of_store([])).set(usage.bytes as f64));
        }
    }

    /// Records whether the store is available.
    pub(crate) fn is_up(&self, is_up: bool) {
        recording(|| gauge!(STORE_UP, self.of_store([])).set(f64::from(u8::from(is_up))));
    }

    /// Records a call to the store.
    pub(crate) fn called(&self, call: Call, took: Duration, error: Option<&StoreError>) {
        let method = ("method", call.name());
        recording(|| histogram!(STORE_CALL, self.of_store([method])).record(took));
        if let Some(kind) = error.and_then(kind_of) {
            let labels = || self.of_store([method, ("kind", kind)]);
            recording(|| counter!(STORE_ERRORS, labels()).increment(1));
        }
    }

    /// Records the findings of a sweep.
    pub(crate) fn swept(&self, upkeep: &Upkeep) {
        self.is_up(true);
        self.lost(upkeep.lost);
        let due = upkeep.oldest_due.unwrap_or_default();
        recording(|| {
            gauge!(STORE_PENDING, self.of_store([])).set(upkeep.pending.total as f64);
            gauge!(STORE_OLDEST_DUE, self.of_store([])).set(due);
            gauge!(STORE_NODES, self.of_store([])).set(upkeep.nodes);
        });
    }

    /// Returns these labels, and that of the node. Without any, it does not allocate.
    fn labels<const N: usize>(&self, own: [(&'static str, &'static str); N]) -> Vec<Label> {
        let node = self.node.clone().map(|node| Label::new("node", node));
        let own = own.map(|(name, value)| Label::from_static_parts(name, value));
        own.into_iter().chain(node).collect()
    }

    /// Returns the labels of the store's metrics.
    fn of_store<const N: usize>(&self, own: [(&'static str, &'static str); N]) -> Vec<Label> {
        let mut labels = self.labels(own);
        labels.push(Label::from_static_parts("store", self.store));
        labels
    }
}

/// Returns the kind of an error, unless it is an answer that callers expect.
fn kind_of(error: &StoreError) -> Option<&'static str> {
    if error.is_unavailable() {
        Some("unavailable")
    } else if error.is_full() {
        Some("full")
    } else if error.is_corrupt() {
        Some("corrupt")
    } else if error.is_unsupported_version() || error.is_unknown_key() {
        Some("unsupported")
    } else {
        None
    }
}

/// A job that is running or queued in this process.
pub(crate) struct PendingJob {
    meter: Meter,
    accepted: Instant,
    queued: bool,
    route: Option<Arc<str>>,
}

impl PendingJob {
    pub(crate) fn new(meter: &Meter, route: Option<&Arc<str>>, queued: bool) -> Self {
        let job = Self {
            meter: meter.clone(),
            accepted: Instant::now(),
            queued,
            route: route.cloned(),
        };
        recording(|| gauge!(job.gauge(), job.meter.labels([])).increment(1.0));
        job
    }

    pub(crate) fn started(&mut self) {
        if self.queued {
            self.queued = false;
            recording(|| {
                gauge!(QUEUED, self.meter.labels([])).decrement(1.0);
                gauge!(RUNNING, self.meter.labels([])).increment(1.0);
            });
        }
    }

    /// Records the stored outcome of the job.
    pub(crate) fn ended(&self, state: JobState) {
        self.meter.ended(state);
        let mut labels = self.meter.labels([("state", state.as_str())]);
        let route = self.route.clone();
        labels.extend(route.map(|route| Label::new("route", route)));
        recording(|| histogram!(DURATION, labels).record(self.accepted.elapsed()));
    }

    fn gauge(&self) -> &'static str {
        if self.queued { QUEUED } else { RUNNING }
    }
}

impl Drop for PendingJob {
    fn drop(&mut self) {
        recording(|| gauge!(self.gauge(), self.meter.labels([])).decrement(1.0));
    }
}

/// A held poll, until it is dropped.
pub(crate) struct HeldPoll(Meter);

impl HeldPoll {
    pub(crate) fn new(meter: &Meter) -> Self {
        recording(|| gauge!(HELD_POLLS, meter.labels([])).increment(1.0));
        Self(meter.clone())
    }
}

impl Drop for HeldPoll {
    fn drop(&mut self) {
        recording(|| gauge!(HELD_POLLS, self.0.labels([])).decrement(1.0));
    }
}

/// The ends of recent handlers whose results have not been delivered.
pub(crate) struct Undelivered {
    meter: Meter,
    ends: Recent<Instant>,
}

impl Undelivered {
    pub(crate) fn new(meter: &Meter) -> Self {
        Self {
            meter: meter.clone(),
            ends: Recent::default(),
        }
    }

    pub(crate) fn insert(&self, id: JobId) {
        self.ends.insert(id, Instant::now());
    }

    /// Forgets a job that gets no result.
    pub(crate) fn forget(&self, id: &JobId) {
        self.ends.take(id);
    }

    pub(crate) fn delivered(&self, id: &JobId, polls: u32) {
        if let Some(ended) = self.ends.take(id) {
            recording(|| {
                histogram!(POLLS, self.meter.labels([])).record(polls);
                histogram!(DELIVERY_DELAY, self.meter.labels([])).record(ended.elapsed());
            });
        }
    }
}

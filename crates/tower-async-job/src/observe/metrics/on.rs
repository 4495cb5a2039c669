use std::sync::Arc;

use http_polling::{JobState, ProblemType};
use metrics::{
    Label, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use tokio::time::Instant;
use tower_async_job_core::{JobId, JobStore};

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
const DELIVERY_DELAY: &str = "async_job_delivery_delay_seconds";

/// Describes the metrics to the recorder, if it is installed already.
pub(crate) fn describe() {
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
}

/// Records the store's size. Call it when the size changes.
pub(crate) fn stored(store: &dyn JobStore) {
    if let Some(usage) = store.usage() {
        gauge!(STORE_BYTES).set(usage.bytes as f64);
    }
}

pub(crate) fn inline() {
    recording(|| counter!(INLINE).increment(1));
}

pub(crate) fn accepted() {
    recording(|| counter!(ACCEPTED).increment(1));
}

pub(crate) fn refused(problem: ProblemType) {
    let reason = problem.uri().rsplit(':').next().unwrap_or_default();
    recording(|| counter!(REFUSED, "reason" => reason).increment(1));
}

pub(crate) fn ended(state: JobState) {
    recording(|| counter!(ENDED, "state" => state.as_str()).increment(1));
}

pub(crate) fn stopped(reason: &'static str) {
    recording(|| counter!(STOPPED, "reason" => reason).increment(1));
}

/// A job that is running or queued in this process.
pub(crate) struct PendingJob {
    accepted: Instant,
    queued: bool,
    route: Option<Arc<str>>,
}

impl PendingJob {
    pub(crate) fn new(route: Option<&Arc<str>>, queued: bool) -> Self {
        let job = Self {
            accepted: Instant::now(),
            queued,
            route: route.cloned(),
        };
        recording(|| gauge!(job.gauge()).increment(1.0));
        job
    }

    pub(crate) fn started(&mut self) {
        if self.queued {
            self.queued = false;
            recording(|| {
                gauge!(QUEUED).decrement(1.0);
                gauge!(RUNNING).increment(1.0);
            });
        }
    }

    /// Records the stored outcome of the job.
    pub(crate) fn ended(&self, state: JobState) {
        ended(state);
        let mut labels = vec![Label::from_static_parts("state", state.as_str())];
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
        recording(|| gauge!(self.gauge()).decrement(1.0));
    }
}

/// A held poll, until it is dropped.
pub(crate) struct HeldPoll(());

impl HeldPoll {
    pub(crate) fn new() -> Self {
        recording(|| gauge!(HELD_POLLS).increment(1.0));
        Self(())
    }
}

impl Drop for HeldPoll {
    fn drop(&mut self) {
        recording(|| gauge!(HELD_POLLS).decrement(1.0));
    }
}

/// The ends of recent handlers whose results have not been delivered.
#[derive(Default)]
pub(crate) struct Undelivered(Recent<Instant>);

impl Undelivered {
    pub(crate) fn insert(&self, id: JobId) {
        self.0.insert(id, Instant::now());
    }

    /// Forgets a job that gets no result.
    pub(crate) fn forget(&self, id: &JobId) {
        self.0.take(id);
    }

    pub(crate) fn delivered(&self, id: &JobId, polls: u32) {
        if let Some(ended) = self.0.take(id) {
            recording(|| {
                histogram!(POLLS).record(polls);
                histogram!(DELIVERY_DELAY).record(ended.elapsed());
            });
        }
    }
}

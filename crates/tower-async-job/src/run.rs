//! A job on its way: its handler is driven to the end, and the end is stored.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::Body;
use http_polling::{Problem, ProblemType};
use tokio::time::{Instant, sleep, timeout};
use tower::BoxError;
use tower_async_job_core::{Lease, Outcome};

use crate::{
    context::JobContext,
    deferral::poll_catching,
    recording::{self, Recording, Unrecorded},
    registration::Registration,
    shared::{Shared, later},
    watch::Watch,
    work::BoxWork,
};

/// How long storing an outcome is tried when the store is out of reach and leases do not end.
const FINISH_PATIENCE: Duration = Duration::from_secs(60);

/// How long the last report of a job may hold up its end.
const REPORT_PATIENCE: Duration = Duration::from_secs(1);

/// A job whose acceptance is sent. It is what tasks hold by the ten thousand, so all that few need
/// is boxed.
pub(crate) struct Run<R, E> {
    registration: Registration,
    stage: Stage<R, E>,
    context: JobContext,
    /// Method and path of the submission. Relative references in the response are relative to the
    /// path.
    route: Arc<str>,
    watch: Watch,
}

enum Stage<R, E> {
    Handling(BoxWork<R, E>),
    Recording(Recording),
}

/// Why the handler is driven no further.
pub(crate) enum End {
    Outcome(Outcome),
    DeadlinePassed,
    /// Cancelled, or the lease is lost: the store knows already.
    Cancelled,
}

impl<R, E> Run<R, E>
where
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
    E: Into<BoxError> + Send + 'static,
{
    pub(crate) fn new(
        registration: Registration,
        work: BoxWork<R, E>,
        context: JobContext,
        route: Arc<str>,
    ) -> Self {
        let deadline = later(registration.shared().config.job_deadline);
        Self {
            watch: Watch::new(deadline, work.is_queued()),
            registration,
            stage: Stage::Handling(work),
            context,
            route,
        }
    }

    /// Drives the handler to its end, and what goes on beside it.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        // Registered before anything is looked at, so that nothing said meanwhile is missed.
        self.context.register(cx);
        let target = self.route.split_once(' ').map_or("", |(_, path)| path);
        let shared = self.registration.shared();
        if let Poll::Ready(outcome) = self.stage.poll(cx, shared, target) {
            if self.watch.is_writing() {
                // It may not take place any more.
                self.context.report_again();
            }
            return Poll::Ready(End::Outcome(outcome));
        }
        let is_queued = self.stage.is_queued();
        self.watch
            .poll(cx, &self.registration, &self.context, is_queued)
    }

    /// Stores how the job ended.
    pub(crate) async fn complete(self, end: End) {
        let Self {
            registration,
            stage,
            context,
            watch,
            ..
        } = self;
        // A write under way is given up before the store is asked for more.
        drop(watch);
        if !matches!(end, End::Outcome(_)) {
            // What the handler has left behind on other threads is wanted no more.
            context.cancel();
        }
        // A destructor of the handler's may panic; the job's end is stored all the same.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(stage)));
        let outcome = match end {
            End::Outcome(outcome) => outcome,
            End::DeadlinePassed => Outcome::TimedOut(Problem::new(ProblemType::JobTimedOut)),
            End::Cancelled => return registration.end(),
        };
        let (shared, lease) = (registration.shared(), *registration.lease());
        if finish(shared, lease, &context, outcome).await {
            registration.end();
        }
    }
}

impl<R, E> Stage<R, E>
where
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
    E: Into<BoxError> + Send + 'static,
{
    fn poll(&mut self, cx: &mut Context<'_>, shared: &Shared, target: &str) -> Poll<Outcome> {
        loop {
            match self {
                Self::Handling(work) => match ready!(poll_catching(work, cx)) {
                    Ok(Ok(response)) => {
                        let limit = shared.config.result_limit;
                        *self = Self::Recording(recording::record(response, target, limit));
                    }
                    Ok(Err(error)) => return Poll::Ready(service_failed(error.into())),
                    Err(payload) => return Poll::Ready(panicked(&*payload)),
                },
                Self::Recording(recording) => {
                    return Poll::Ready(match ready!(poll_catching(recording, cx)) {
                        Ok(Ok(response)) => Outcome::Done(response),
                        Ok(Err(unrecorded)) => not_recorded(unrecorded),
                        Err(payload) => panicked(&*payload),
                    });
                }
            }
        }
    }

    fn is_queued(&self) -> bool {
        matches!(self, Self::Handling(work) if work.is_queued())
    }
}

/// Stores the end of a job. While the store is out of reach this is tried again, until another
/// worker could have the job. Says whether it is stored, or not this worker's to store.
async fn finish(shared: &Shared, lease: Lease, context: &JobContext, mut outcome: Outcome) -> bool {
    if let Some(report) = context.take_report() {
        let reported = timeout(REPORT_PATIENCE, shared.store.report(&lease, report)).await;
        if !matches!(reported, Ok(Ok(()))) {
            tracing::warn!(job = ?lease.id, "the last report of a job was not stored");
        }
    }
    let patience = shared.store.lease_duration().unwrap_or(FINISH_PATIENCE);
    let give_up = later(patience);
    let mut delay = Duration::from_millis(50);
    loop {
        let state = outcome.state();
        let Err(error) = shared.store.finish(&lease, outcome.clone()).await else {
            tracing::debug!(job = ?lease.id, %state, "job ended");
            return true;
        };
        if error.is_lease_lost() {
            return true;
        }
        tracing::warn!(%error, job = ?lease.id, "the end of a job could not be stored");
        if error.is_full() && matches!(outcome, Outcome::Done(_)) {
            outcome = failed("the result could not be kept: the job store is full");
            continue;
        }
        if Instant::now() + delay > give_up {
            tracing::error!(job = ?lease.id, "the end of a job is given up");
            return false;
        }
        sleep(delay).await;
        delay = (delay * 2).min(Duration::from_secs(5));
    }
}

fn not_recorded(unrecorded: Unrecorded) -> Outcome {
    match unrecorded {
        Unrecorded::TooLarge => Outcome::Failed(Problem::new(ProblemType::ResultTooLarge)),
        Unrecorded::Broken(error) => {
            tracing::warn!(%error, "the response body of a job broke off");
            failed("the response body broke off")
        }
    }
}

fn service_failed(error: BoxError) -> Outcome {
    tracing::error!(%error, "the service of a job failed");
    failed("the service failed")
}

fn panicked(payload: &(dyn Any + Send)) -> Outcome {
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(message, "the handler of a job panicked");
    failed("the handler panicked")
}

/// What went wrong inside goes to the log; clients learn the kind only.
fn failed(detail: &str) -> Outcome {
    Outcome::Failed(Problem::new(ProblemType::JobFailed).with_detail(detail))
}

//! A job on its way: its handler is driven to the end, and the end is stored.

use std::{
    any::Any,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::Body;
use http_polling::{Problem, ProblemType};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};
use tower::BoxError;
use tower_async_job_core::{BoxFuture, Lease, Outcome, StoreError};

use crate::{
    context::JobContext,
    deferral::poll_catching,
    recording::{self, Recording, Unrecorded},
    registration::Registration,
    service::Submission,
    shared::{Shared, later},
    work::BoxWork,
};

/// How long storing an outcome is tried when the store is out of reach and leases do not end.
const FINISH_PATIENCE: Duration = Duration::from_secs(60);

/// After how long a start or a report that the store did not take is tried again, at least.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

/// How long the last report of a job may hold up its end.
const REPORT_PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct Run<R, E> {
    registration: Registration,
    stage: Stage<R, E>,
    context: JobContext,
    /// The path of the submission, which relative references in the response are relative to.
    target: Box<str>,
}

enum Stage<R, E> {
    Handling(BoxWork<R, E>),
    Recording(Recording),
}

/// Why the handler is driven no further.
enum End {
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
        submission: Submission,
    ) -> Self {
        Self {
            registration,
            stage: Stage::Handling(work),
            context,
            target: submission.path().into(),
        }
    }

    pub(crate) async fn complete(mut self) {
        let end = self.drive().await;
        let Self {
            registration,
            stage,
            context,
            ..
        } = self;
        if !matches!(end, End::Outcome(_)) {
            // What the handler has left behind on other threads is wanted no more.
            context.cancel();
        }
        // A destructor of the handler's may panic; the job's end is stored all the same.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(stage)));
        let outcome = match end {
            End::Outcome(outcome) => Some(outcome),
            End::DeadlinePassed => Some(Outcome::TimedOut(Problem::new(ProblemType::JobTimedOut))),
            End::Cancelled => None,
        };
        if let Some(outcome) = outcome {
            // Boxed, so that its memory is there only now.
            let finish = finish(
                registration.shared(),
                *registration.lease(),
                &context,
                outcome,
            );
            if !Box::pin(finish).await {
                return;
            }
        }
        registration.end();
    }

    async fn drive(&mut self) -> End {
        let shared = &**self.registration.shared();
        let deadline = later(shared.config.job_deadline);
        let mut watch = Watch {
            shared,
            lease: self.registration.lease(),
            context: &self.context,
            queued: matches!(&self.stage, Stage::Handling(work) if work.is_queued()),
            end: deadline,
            cancelled: false,
            write: None,
            starting: false,
            next_write: None,
        };
        let stage = &mut self.stage;
        let target = &*self.target;
        let mut timer = pin!(sleep_until(deadline));
        poll_fn(|cx| {
            // Registered before anything is looked at, so that nothing said meanwhile is missed.
            watch.context.register(cx);
            if let Poll::Ready(outcome) = stage.poll(cx, shared, target) {
                if watch.write.is_some() {
                    // It may not take place any more.
                    watch.context.report_again();
                }
                return Poll::Ready(End::Outcome(outcome));
            }
            watch.poll(cx, timer.as_mut(), || stage.is_queued())
        })
        .await
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

/// What goes on beside the handler: the deadline, cancellation, and writes to the store.
struct Watch<'a> {
    shared: &'a Shared,
    lease: &'a Lease,
    context: &'a JobContext,
    /// The store still has the job as queued.
    queued: bool,
    /// When the handler is given up: its deadline, or the end of the grace once cancelled.
    end: Instant,
    cancelled: bool,
    /// The one write under way.
    write: Option<BoxFuture<'a, Result<(), StoreError>>>,
    /// That write is the job's start.
    starting: bool,
    /// When the next write may take place, if there has been one.
    next_write: Option<Instant>,
}

impl Watch<'_> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut timer: Pin<&mut Sleep>,
        is_queued: impl Fn() -> bool,
    ) -> Poll<End> {
        loop {
            if !self.cancelled && self.context.is_cancelled() {
                self.cancelled = true;
                self.end = later(self.shared.config.cancellation_grace);
            }
            let wake = self
                .poll_writes(cx, &is_queued)
                .unwrap_or(self.end)
                .min(self.end);
            if self.cancelled != self.context.is_cancelled() {
                continue;
            }
            if timer.deadline() != wake {
                timer.as_mut().reset(wake);
            }
            ready!(timer.as_mut().poll(cx));
            if wake == self.end {
                return Poll::Ready(if self.cancelled {
                    End::Cancelled
                } else {
                    End::DeadlinePassed
                });
            }
        }
    }

    /// Writes what there is to be written; returns when there is more to do.
    fn poll_writes(
        &mut self,
        cx: &mut Context<'_>,
        is_queued: &impl Fn() -> bool,
    ) -> Option<Instant> {
        loop {
            if let Some(write) = &mut self.write {
                let Poll::Ready(written) = write.as_mut().poll(cx) else {
                    return None;
                };
                self.write = None;
                match written {
                    Ok(()) => {}
                    Err(error) if error.is_lease_lost() => self.context.cancel(),
                    Err(error) => {
                        tracing::warn!(%error, job = ?self.lease.id, "a job's report was not stored");
                        if error.is_unavailable() {
                            self.write_again();
                        }
                    }
                }
                self.starting = false;
            }
            if self.cancelled || self.context.is_cancelled() {
                return None;
            }
            let starts = self.queued && !is_queued();
            if !starts && (self.queued || !self.context.has_report()) {
                return None;
            }
            if let Some(next_write) = self.next_write
                && next_write > Instant::now()
            {
                return Some(next_write);
            }
            if starts {
                (self.queued, self.starting) = (false, true);
                self.write = Some(self.shared.store.start(self.lease));
                continue;
            }
            let report = self.context.take_report()?;
            self.next_write = Some(later(self.shared.config.report_interval));
            self.write = Some(self.shared.store.report(self.lease, report));
        }
    }

    /// After a write that failed: what it said is said again, though not at once.
    fn write_again(&mut self) {
        self.next_write = Some(later(self.shared.config.report_interval.max(WRITE_AGAIN)));
        if self.starting {
            self.queued = true;
        } else {
            self.context.report_again();
        }
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

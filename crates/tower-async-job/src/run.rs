//! A job on its way: its handler is driven to the end, and the end is stored.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::Body;
use http_polling::{JobState, Problem, ProblemType};
use tokio::{
    task::yield_now,
    time::{Instant, sleep, timeout},
};
use tower::BoxError;
use tower_async_job_core::{Lease, Outcome};

use crate::{
    context::{HandlerContext, JobContext},
    metrics,
    panics::{self, Payload, drop_quietly, poll_catching},
    recording::{self, Kept, Recorded, Recording, Size},
    registration::{Registration, discard},
    service::Submission,
    shared::{Shared, later},
    unkept,
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
    context: HandlerContext,
    route: Arc<str>,
    /// When the handler began, or rather was accepted; `None` while it is queued.
    started: Option<Instant>,
    /// What few jobs have.
    rare: Option<Box<Rare>>,
    watch: Watch,
}

#[derive(Default)]
struct Rare {
    /// The path of the submission, where the route does not end in it.
    target: Option<Box<str>>,
    /// Whoever submitted it has the result inline until then.
    inline_until: Option<Instant>,
}

enum Stage<R, E> {
    Handling(BoxWork<R, E>),
    Recording(Recording),
}

/// Why the handler is driven no further.
#[allow(
    clippy::large_enum_variant,
    reason = "it is moved once, at the end of a job; its size depends on the features of serde_json"
)]
pub(crate) enum End {
    /// With what is kept until it is stored.
    Outcome(Outcome, Option<Kept>),
    DeadlinePassed,
    /// Cancelled, or the lease is lost: the store knows already.
    Cancelled,
    /// The process shuts down: the job is handed back.
    Abandoned,
}

impl<R, E> Run<R, E> {
    pub(crate) fn registration(&self) -> &Registration {
        &self.registration
    }

    pub(crate) fn context(&self) -> &JobContext {
        &self.context
    }

    pub(crate) fn route(&self) -> &str {
        &self.route
    }

    pub(crate) fn attempt(&self) -> u32 {
        self.context.attempt()
    }
}

impl<R, E> Run<R, E>
where
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
    E: Into<BoxError> + Send + 'static,
{
    /// Registers a job that is stored, accepted now.
    pub(crate) fn new(
        shared: Arc<Shared>,
        lease: Lease,
        work: BoxWork<R, E>,
        context: HandlerContext,
        submission: &Submission,
        route: Arc<str>,
        now: Instant,
    ) -> Self {
        let queued = work.is_queued();
        let registration =
            Registration::new(shared, lease, context.clone(), submission, queued, now);
        Self {
            watch: Watch::new(queued),
            started: (!queued).then_some(now),
            rare: submission.target().map(|target| {
                Box::new(Rare {
                    target: Some(target),
                    ..Rare::default()
                })
            }),
            registration,
            stage: Stage::Handling(work),
            context,
            route,
        }
    }

    /// Notes that the job's acceptance is on its way, so that it will be asked for.
    pub(crate) fn announced(&mut self) {
        self.registration.announced();
        metrics::accepted();
        let id = self.registration.lease().id;
        tracing::debug!(job = ?id, route = &*self.route, "job accepted");
        self.registration.shared().keep_house();
    }

    /// Takes back a job whose client was gone before the acceptance.
    pub(crate) async fn withdraw(self) {
        let Self {
            registration,
            stage,
            context,
            ..
        } = self;
        context.cancel();
        drop_quietly(stage);
        discard(registration.shared(), registration.lease()).await;
        registration.end();
    }

    /// Of work that is a job from the beginning, for the sake of its key, and is polled for only
    /// after the inline wait.
    pub(crate) fn inline_until(mut self, until: Instant) -> Self {
        self.rare.get_or_insert_default().inline_until = Some(until);
        self
    }

    /// Drives the handler to its end, and what goes on beside it.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        // Registered before anything is looked at, so that nothing said meanwhile is missed.
        self.context.register(cx);
        let own = self.rare.as_ref().and_then(|rare| rare.target.as_deref());
        let target = own.unwrap_or_else(|| self.route.split_once(' ').map_or("", |(_, path)| path));
        let registration = &self.registration;
        if let Poll::Ready((outcome, kept)) = self.stage.poll(cx, registration, target) {
            if self.watch.is_writing() {
                // It may not take place any more.
                self.context.report_again();
            }
            return Poll::Ready(End::Outcome(outcome, kept));
        }
        let is_queued = self.stage.is_queued();
        if self.started.is_none() && !is_queued {
            self.started = Some(Instant::now());
            self.registration.started();
        }
        self.watch
            .poll(cx, &mut self.registration, &self.context, is_queued)
    }

    /// Stores how the job ended. The state is what this process has ended it in.
    pub(crate) async fn complete(self, end: End) -> Option<JobState> {
        let Self {
            registration,
            stage,
            context,
            watch,
            route,
            started,
            rare,
            ..
        } = self;
        let inline_until = rare.and_then(|rare| rare.inline_until);
        let polled_for = inline_until.is_none_or(|until| Instant::now() >= until);
        let took = started.map_or(Duration::ZERO, |started| started.elapsed());
        // A write under way is given up before the store is asked for more.
        drop(watch);
        // Work that the handler has left behind on other threads is wanted no more.
        context.cancel();
        // A destructor of the handler's may panic; the job's end is stored all the same.
        drop_quietly(stage);
        let (outcome, kept) = match end {
            End::Outcome(outcome, kept) => (outcome, kept),
            End::DeadlinePassed => {
                let problem = Problem::new(ProblemType::JobTimedOut);
                (Outcome::TimedOut(problem), None)
            }
            End::Cancelled => {
                registration.end();
                return Some(JobState::Cancelled);
            }
            // The registration hands it back when it is dropped.
            End::Abandoned => return None,
        };
        let size = match &outcome {
            Outcome::Done(response) => Some(response.len()),
            _ => None,
        };
        let (shared, lease) = (registration.shared().clone(), *registration.lease());
        // Before it is stored, since held polls are answered as soon as it is.
        shared.undelivered.insert(lease.id);
        let state = match finish(&shared, lease, &context, outcome).await {
            Finish::Stored(state) => {
                registration.ended(state);
                Some(state)
            }
            finish => {
                shared.undelivered.forget(&lease.id);
                if matches!(finish, Finish::GivenUp) {
                    return None;
                }
                registration.end();
                None
            }
        };
        // The outcome is stored, or given up.
        drop(kept);
        metrics::stored(&*shared.store);
        if let Some(size) = size {
            shared.sizes.record(&route, size);
            if polled_for {
                // Whoever has waited for the end goes first.
                yield_now().await;
                let estimator = &shared.config.estimator;
                let _ = panics::catching("the estimator", || estimator.completed(&route, took));
            }
        }
        state
    }
}

impl<R, E> Stage<R, E>
where
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
    E: Into<BoxError> + Send + 'static,
{
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        job: &Registration,
        target: &str,
    ) -> Poll<(Outcome, Option<Kept>)> {
        loop {
            let outcome = match self {
                Self::Handling(work) => match ready!(work.poll_catching(cx)) {
                    Ok(Ok(response)) => {
                        let place = work.take_place();
                        let (shared, lease) = (job.shared(), *job.lease());
                        let recording = recording::record(response, target, shared, lease, place);
                        *self = Self::Recording(recording);
                        continue;
                    }
                    Ok(Err(error)) => service_failed(error.into()),
                    Err(payload) => panicked(payload),
                },
                Self::Recording(recording) => match ready!(poll_catching(recording, cx)) {
                    Ok(Ok(Recorded { response, kept })) => {
                        return Poll::Ready((Outcome::Done(response), Some(kept)));
                    }
                    Ok(Err(unrecorded)) => unkept::not_recorded(unrecorded, job),
                    Err(payload) => panicked(payload),
                },
            };
            return Poll::Ready((outcome, None));
        }
    }

    fn is_queued(&self) -> bool {
        matches!(self, Self::Handling(work) if work.is_queued())
    }
}

/// What became of storing the end of a job.
enum Finish {
    Stored(JobState),
    /// It is cancelled, or another worker's.
    NotOurs,
    GivenUp,
}

/// Stores the end of a job. While the store is out of reach this is tried again, until another
/// worker could have the job.
async fn finish(
    shared: &Shared,
    lease: Lease,
    context: &JobContext,
    mut outcome: Outcome,
) -> Finish {
    if let Some(report) = context.take_report(shared.config.report_limit) {
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
            return Finish::Stored(state);
        };
        if error.is_lease_lost() {
            return Finish::NotOurs;
        }
        if error.is_full()
            && let Outcome::Done(response) = &outcome
        {
            outcome = unkept::no_room(Size::of_body(response), &error, &lease);
            continue;
        }
        tracing::warn!(%error, job = ?lease.id, "the end of a job could not be stored");
        if Instant::now() + delay > give_up {
            tracing::error!(job = ?lease.id, "the end of a job is given up");
            return Finish::GivenUp;
        }
        sleep(delay).await;
        delay = (delay * 2).min(Duration::from_secs(5));
    }
}

fn service_failed(error: BoxError) -> Outcome {
    tracing::error!(%error, "the service of a job failed");
    failed("the service failed")
}

fn panicked(payload: Payload) -> Outcome {
    panics::log("the handler of a job", payload);
    failed("the handler panicked")
}

/// What went wrong inside goes to the log; clients learn the kind only.
fn failed(detail: &str) -> Outcome {
    Outcome::Failed(Problem::new(ProblemType::JobFailed).with_detail(detail))
}

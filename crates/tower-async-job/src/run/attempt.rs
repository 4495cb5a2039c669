//! A job on its way: its handler is driven to the end, and the end is stored.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::Body;
use http_polling::{JobState, Problem, ProblemType};
use tokio::{task::yield_now, time::Instant};
use tower::BoxError;
use tower_async_job_core::{Lease, Outcome, Principal, Released};

use crate::{
    context::{handler::HandlerContext, job::JobContext, reason::CancelReason},
    node::{
        housekeeping::keep_house,
        registration::{Registered, Registration, discard},
        state::Node,
    },
    observe::metrics,
    panics::{self, Payload, drop_quietly, poll_catching},
    run::{
        finish::{Finish, finish, release},
        recording::{self, Recorded, Recording},
        restore::{Creation, Restorable},
        unkept,
        watch::{End, Watch},
        work::BoxWork,
    },
};

/// The end of a run whose lease another holder may have.
const LEASE_LOST: &str = "lease-lost";

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

/// What is known of a job when its run begins.
pub(crate) struct Terms<'a> {
    pub(crate) route: Arc<str>,
    /// The route among the metrics, where the application has named it.
    pub(crate) label: Option<&'a Arc<str>>,
    pub(crate) principal: Option<&'a Principal>,
    /// The path of the request, where the route does not end in it.
    pub(crate) target: Option<Box<str>>,
    pub(crate) creation: Creation,
    pub(crate) accepted: Instant,
    pub(crate) deadline: Instant,
    /// The limit of the result, where it is not the usual one.
    pub(crate) result_limit: Option<usize>,
}

#[derive(Default)]
struct Rare {
    /// The path of the submission, where the route does not end in it.
    target: Option<Box<str>>,
    /// The client that submitted it has the result inline until then.
    inline_until: Option<Instant>,
    /// The limit of the result, where it is not the usual one.
    result_limit: Option<usize>,
    /// The terms to store the job anew by.
    restorable: Option<Box<Restorable>>,
    /// The job can be run again.
    replayable: bool,
}

enum Stage<R, E> {
    Handling(BoxWork<R, E>),
    Recording(Recording),
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
        node: Arc<Node>,
        lease: Lease,
        work: BoxWork<R, E>,
        context: HandlerContext,
        terms: Terms<'_>,
    ) -> Self {
        let queued = work.is_queued();
        let is_rare = terms.target.is_some()
            || terms.result_limit.is_some()
            || terms.creation.terms.is_some()
            || terms.creation.replayable;
        let registered = Registered {
            principal: terms.principal,
            label: terms.label,
            deadline: terms.deadline,
            since: terms.creation.sent,
            queued,
        };
        let registration = Registration::new(node, lease, context.clone(), registered);
        Self {
            watch: Watch::new(queued),
            started: (!queued).then_some(terms.accepted),
            rare: is_rare.then(|| {
                Box::new(Rare {
                    target: terms.target,
                    inline_until: None,
                    result_limit: terms.result_limit,
                    restorable: terms.creation.terms,
                    replayable: terms.creation.replayable,
                })
            }),
            registration,
            stage: Stage::Handling(work),
            context,
            route: terms.route,
        }
    }

    /// Notes that the job's acceptance is on its way, so that it will be asked for.
    pub(crate) fn announced(&mut self) {
        self.registration.announced();
        metrics::accepted();
        let id = self.registration.lease().id;
        tracing::debug!(job = ?id, route = &*self.route, "job accepted");
        keep_house(self.registration.node());
    }

    /// Takes back a job whose client was gone before the acceptance.
    pub(crate) async fn withdraw(self) {
        let Self {
            registration,
            stage,
            context,
            ..
        } = self;
        context.cancel(CancelReason::Over);
        drop_quietly(stage);
        discard(registration.node(), registration.lease()).await;
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
        let rare = self.rare.as_deref();
        let own = rare.and_then(|rare| rare.target.as_deref());
        let target = own.unwrap_or_else(|| self.route.split_once(' ').map_or("", |(_, path)| path));
        let registration = &self.registration;
        let limit = rare.and_then(|rare| rare.result_limit);
        let limit = limit.unwrap_or(registration.node().config.result_limit);
        let replayable = rare.is_some_and(|rare| rare.replayable);
        let stage = &mut self.stage;
        if let Poll::Ready(end) = stage.poll(cx, registration, target, limit, replayable) {
            if self.watch.is_writing() {
                // It may not take place any more.
                self.context.report_again();
            }
            return Poll::Ready(end);
        }
        let is_queued = self.stage.is_queued();
        if self.started.is_none() && !is_queued {
            self.started = Some(Instant::now());
            self.registration.started();
        }
        let rare = self.rare.as_deref();
        let terms = rare.and_then(|rare| rare.restorable.as_deref());
        let (job, context) = (&mut self.registration, &self.context);
        self.watch.poll(cx, job, context, is_queued, terms)
    }

    /// Stores how the job ended. Returns its state, as far as this process knows it.
    pub(crate) async fn complete(self, end: End) -> Option<&'static str> {
        let Self {
            mut registration,
            stage,
            context,
            watch,
            route,
            started,
            rare,
            ..
        } = self;
        let rare = rare.map(|rare| *rare).unwrap_or_default();
        let inline_until = rare.inline_until;
        let polled_for = inline_until.is_none_or(|until| Instant::now() >= until);
        let took = started.map_or(Duration::ZERO, |started| started.elapsed());
        // A write under way is given up before the store is asked for more.
        drop(watch);
        // Work that the handler has left behind on other threads is wanted no more.
        context.cancel(match &end {
            End::DeadlinePassed => CancelReason::DeadlinePassed,
            _ => CancelReason::Over,
        });
        // A destructor of the handler's may panic; the job's end is stored all the same.
        drop_quietly(stage);
        let (outcome, kept) = match end {
            End::Outcome(outcome, kept) => (outcome, kept),
            End::Released(how) => return fate(release(registration, &context, &how).await?),
            End::DeadlinePassed => {
                let problem = Problem::new(ProblemType::JobTimedOut);
                (Outcome::TimedOut(problem), None)
            }
            End::Cancelled => {
                registration.end();
                metrics::stopped("cancelled");
                return Some(JobState::Cancelled.as_str());
            }
            End::LeaseLost => {
                let job = registration.lease().id;
                tracing::warn!(?job, "a run was stopped, since its lease is lost");
                registration.end();
                metrics::stopped(LEASE_LOST);
                return Some(LEASE_LOST);
            }
            End::Abandoned => return fate(registration.release().await?),
        };
        let (node, id) = (registration.node().clone(), registration.lease().id);
        let size = match &outcome {
            Outcome::Done(response) => Some(response.len()),
            // No more of it needs room at a time.
            Outcome::Streamed { .. } => node.store.properties().chunk,
            _ => None,
        };
        // Before it is stored, since held polls are answered as soon as it is.
        node.undelivered.insert(id);
        let terms = rare.restorable.as_deref();
        let state = match finish(&mut registration, &context, outcome, terms).await {
            Finish::Stored(state) => {
                registration.ended(state);
                Some(state.as_str())
            }
            finish => {
                node.undelivered.forget(&id);
                if matches!(finish, Finish::GivenUp) {
                    return None;
                }
                registration.end();
                None
            }
        };
        // The outcome is stored, or given up.
        drop(kept);
        metrics::stored(&*node.store);
        if let Some(size) = size {
            node.sizes.record(&route, size);
            if polled_for {
                // Whoever has waited for the end goes first.
                yield_now().await;
                node.learn(id, &route, took);
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
        limit: usize,
        replayable: bool,
    ) -> Poll<End> {
        loop {
            let outcome = match self {
                Self::Handling(work) => match ready!(work.poll_catching(cx)) {
                    Ok(Ok(response)) => {
                        if replayable && let Some(how) = response.extensions().get().cloned() {
                            drop_quietly(response);
                            return Poll::Ready(End::Released(how));
                        }
                        let place = work.take_place();
                        let (node, lease) = (job.node(), *job.lease());
                        let recording =
                            recording::record(response, target, limit, node, lease, place);
                        *self = Self::Recording(recording);
                        continue;
                    }
                    Ok(Err(error)) => service_failed(error.into()),
                    Err(payload) => panicked(payload),
                },
                Self::Recording(recording) => match ready!(poll_catching(recording, cx)) {
                    Ok(Ok(Recorded { outcome, kept })) => {
                        return Poll::Ready(End::Outcome(outcome, Some(kept)));
                    }
                    Ok(Err(unrecorded)) => {
                        return Poll::Ready(unkept::not_recorded(unrecorded, limit, job));
                    }
                    Err(payload) => panicked(payload),
                },
            };
            return Poll::Ready(End::Outcome(outcome, None));
        }
    }

    fn is_queued(&self) -> bool {
        matches!(self, Self::Handling(work) if work.is_queued())
    }
}

/// Returns the state of a job that was released, or says that its lease was lost.
fn fate(released: Released) -> Option<&'static str> {
    Some(match released {
        Released::Queued => JobState::Queued.as_str(),
        Released::Outside => JobState::Running.as_str(),
        Released::Ended(state) => state.as_str(),
        _ => LEASE_LOST,
    })
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

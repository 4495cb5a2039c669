//! A running job: its handler is driven to its end, and the end is stored.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http_polling::{Problem, ProblemType};
use tokio::{sync::oneshot, task::yield_now, time::Instant};
use tower::BoxError;
use tower_async_job_core::{Lease, Outcome, Release};

use crate::{
    bounds::HandlerBody,
    context::{handler::HandlerContext, job::JobContext, reason::CancelReason},
    node::{registration::Registration, state::Node},
    panics::{self, Payload, drop_quietly, poll_catching},
    run::{
        finish::{finish, refused, release, stop},
        handover::{Delivered, Ended, Waiting},
        recording::{self, Recorded, Recording, Unrecorded},
        restore::Restorable,
        terms::{Held, Rerun, Terms},
        unkept,
        unresumable::Unresumable,
        watch::{End, Stop, Watch},
        work::BoxWork,
        write::patience,
    },
};

/// A job whose acceptance is sent. Tasks hold tens of thousands of these, so rare parts are boxed.
pub(crate) struct Run<R, E> {
    stage: Stage<R, E>,
    context: HandlerContext,
    route: Arc<str>,
    /// The time at which the handler began, counted from the acceptance; `None` while it is queued.
    started: Option<Instant>,
    rare: Option<Box<Rare>>,
    watch: Watch,
    /// The last, so that the job is released once its handler is dropped.
    registration: Registration,
}

#[derive(Default)]
struct Rare {
    /// The path of the submission, unless the route ends in it.
    target: Option<Box<str>>,
    /// The client that waits for the result inline.
    waiting: Option<Waiting>,
    /// The outside party that has delivered the response.
    delivery: Option<oneshot::Sender<Delivered>>,
    /// The limit of the result, if it is not the default.
    result_limit: Option<usize>,
    restorable: Option<Box<Restorable>>,
    rerun: Rerun,
    _held: Held,
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

    /// Notes that the job is announced. Before, it is discarded when its run is dropped.
    pub(crate) fn announced(&mut self) {
        self.registration.announced();
    }
}

impl<R, E> Run<R, E>
where
    R: HandlerBody,
    E: Into<BoxError> + Send + 'static,
{
    /// Registers a job that is stored since `now`.
    pub(crate) fn new(
        node: Arc<Node>,
        lease: Lease,
        work: BoxWork<R, E>,
        context: HandlerContext,
        terms: Terms,
        now: Instant,
    ) -> Self {
        context.stored();
        let registered = terms.registered(work.is_queued());
        let registration = Registration::new(node, lease, context.clone(), registered);
        Self::registered(registration, work, context, terms, now)
    }

    /// Creates the run of a job that is registered.
    pub(crate) fn registered(
        registration: Registration,
        work: BoxWork<R, E>,
        context: HandlerContext,
        terms: Terms,
        now: Instant,
    ) -> Self {
        let queued = work.is_queued();
        let is_rare = terms.target.is_some()
            || terms.result_limit.is_some()
            || terms.restorable.is_some()
            || terms.rerun != Rerun::Never;
        let mut restorable = terms.restorable;
        if let Some(restorable) = restorable.as_mut().filter(|_| !queued) {
            restorable.begun(now);
        }
        Self {
            watch: Watch::new(queued, registration.subscribed()),
            started: (!queued).then_some(now),
            rare: is_rare.then(|| {
                Box::new(Rare {
                    target: terms.target,
                    waiting: None,
                    delivery: None,
                    result_limit: terms.result_limit,
                    restorable,
                    rerun: terms.rerun,
                    _held: terms.held,
                })
            }),
            registration,
            stage: Stage::Handling(work),
            context,
            route: terms.route,
        }
    }

    /// Sets the client that waits for the result inline, of a job with a key, which is a job from the
    /// beginning.
    pub(crate) fn awaited(mut self, waiting: Waiting) -> Self {
        self.rare.get_or_insert_default().waiting = Some(waiting);
        self
    }

    /// Sets the outside party that has delivered the response.
    pub(crate) fn delivering(mut self, delivery: oneshot::Sender<Delivered>) -> Self {
        self.rare.get_or_insert_default().delivery = Some(delivery);
        self
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        // Registered before anything is checked, so that no later event is missed.
        self.context.register(cx);
        let rare = self.rare.as_deref();
        let own = rare.and_then(|rare| rare.target.as_deref());
        let of_route = || self.route.split_once(' ').map(|(_, path)| path);
        let registration = &self.registration;
        let limit = rare.and_then(|rare| rare.result_limit);
        let limit = limit.unwrap_or(registration.node().config.result_limit);
        let context = &self.context;
        let may_rerun = || rare.is_some_and(|rare| rare.rerun.is_possible(Some(context)));
        let delivered = rare.is_some_and(|rare| rare.delivery.is_some());
        // The path of an outside party's request is not known: the route may be a template.
        let target = own.or_else(of_route).filter(|_| !delivered);
        let stage = &mut self.stage;
        if let Poll::Ready(end) = stage.poll(cx, registration, target, limit, may_rerun, delivered)
        {
            if self.watch.is_writing() {
                // The write may not happen any more.
                self.context.report_again();
            }
            return Poll::Ready(end);
        }
        let is_queued = self.stage.is_queued();
        if self.started.is_none() && !is_queued {
            let now = Instant::now();
            self.started = Some(now);
            self.registration.started();
            if let Some(restorable) = self.rare.as_mut().and_then(|rare| rare.restorable.as_mut()) {
                restorable.begun(now);
            }
        }
        let rare = self.rare.as_deref();
        let terms = rare.and_then(|rare| rare.restorable.as_deref());
        let (job, context) = (&mut self.registration, &self.context);
        self.watch.poll(cx, job, context, is_queued, terms)
    }

    /// Stores how the job ended. Returns its state, as far as this process knows it.
    pub(crate) async fn complete(mut self, end: End) -> Option<&'static str> {
        let delivery = self.rare.as_mut().and_then(|rare| rare.delivery.take());
        let Some(delivery) = delivery else {
            return self.store(end, None).await;
        };
        let (end, mut unrecorded) = match end {
            // The store gives it back to the party.
            End::Undelivered(unrecorded) => (End::Released(Release::default()), Some(unrecorded)),
            end => (end, None),
        };
        let is_too_large = is_too_large(&end);
        let state = Box::pin(self.store(end, Some(&mut unrecorded))).await;
        let _ = delivery.send(Delivered {
            state,
            unrecorded,
            is_too_large,
        });
        state
    }

    async fn store(
        self,
        end: End,
        undelivered: Option<&mut Option<Unrecorded>>,
    ) -> Option<&'static str> {
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
        let waiting = rare.waiting;
        let polled_for = (waiting.as_ref()).is_none_or(|waiting| Instant::now() >= waiting.until);
        let took = started.map_or(Duration::ZERO, |started| started.elapsed());
        let terms = rare.restorable.as_deref();
        // A write in flight is cancelled before the next call to the store.
        drop(watch);
        // Work that the handler has left on other threads is no longer wanted.
        match &end {
            End::DeadlinePassed => context.cancel(CancelReason::DeadlinePassed),
            // The reason is learned first.
            End::Refused => {}
            _ => context.cancel(CancelReason::Over),
        }
        // A destructor of the handler may panic; the job's end is stored nevertheless.
        drop_quietly(stage);
        let (outcome, kept) = match end {
            End::Outcome(outcome, kept) => (outcome, kept),
            End::Released(how) => return release(registration, &context, how, terms).await,
            End::Undelivered(_) => return stop(registration, Stop::Abandoned).await,
            End::DeadlinePassed => {
                let problem = Problem::new(ProblemType::JobTimedOut);
                (Outcome::TimedOut(problem), None)
            }
            End::Refused => {
                let node = registration.node().clone();
                let mut patience = patience(&node);
                let reason = refused(&mut patience, &mut registration, &context, terms).await;
                context.cancel(CancelReason::Over);
                return stop(registration, reason).await;
            }
            End::Stopped(reason) => return stop(registration, reason).await,
        };
        let (node, id) = (registration.node().clone(), registration.lease().id);
        let size = match &outcome {
            Outcome::Done(response) => Some(response.len()),
            // No more is in memory at a time.
            Outcome::Streamed { .. } => node.store.properties().chunk,
            _ => None,
        };
        // Before the end is stored, since held polls are then answered at once.
        node.undelivered.insert(id);
        let finished = finish(&mut registration, &context, outcome, terms, undelivered).await;
        let outcome = match finished {
            Ok(outcome) => outcome,
            Err(reason) => {
                node.undelivered.forget(&id);
                drop(kept);
                return stop(registration, reason).await;
            }
        };
        let (lease, state) = (*registration.lease(), outcome.state());
        registration.ended(state);
        if let Some(waiting) = waiting {
            waiting.hand_over(Ended { lease, outcome });
        }
        drop(kept);
        node.meter.stored(&*node.store);
        if let Some(size) = size {
            node.sizes.record(&route, size);
            if polled_for {
                // Tasks that waited for the end run first.
                yield_now().await;
                node.learn(id, &route, took);
            }
        }
        Some(state.as_str())
    }
}

impl<R, E> Stage<R, E>
where
    R: HandlerBody,
    E: Into<BoxError> + Send + 'static,
{
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        job: &Registration,
        target: Option<&str>,
        limit: usize,
        may_rerun: impl Fn() -> bool,
        delivered: bool,
    ) -> Poll<End> {
        loop {
            let outcome = match self {
                Self::Handling(work) => match ready!(work.poll_catching(cx)) {
                    Ok(Ok(response)) => {
                        let how = response.extensions().get::<Release>();
                        let how = how.filter(|how| how.outside.is_some() || may_rerun());
                        if let Some(how) = how.cloned() {
                            drop_quietly(response);
                            return Poll::Ready(End::Released(how));
                        }
                        let place = work.take_place();
                        let recording = recording::record(response, target, limit, job, place);
                        *self = Self::Recording(recording);
                        continue;
                    }
                    Ok(Err(error)) => service_failed(error.into()),
                    Err(payload) => panicked(payload),
                },
                Self::Recording(recording) => match ready!(poll_catching(recording, cx)) {
                    Ok(Ok(recorded)) => {
                        let Recorded {
                            outcome,
                            lease,
                            kept,
                        } = recorded;
                        // The store has lost the chunks with the record, and has only that again.
                        if matches!(outcome, Outcome::Streamed { .. }) && lease != *job.lease() {
                            return Poll::Ready(End::Refused);
                        }
                        return Poll::Ready(End::Outcome(outcome, Some(kept)));
                    }
                    Ok(Err(unrecorded)) if delivered && unrecorded.may_be_repeated() => {
                        return Poll::Ready(End::Undelivered(unrecorded));
                    }
                    Ok(Err(unrecorded)) => {
                        return Poll::Ready(unkept::not_recorded(unrecorded, limit, job));
                    }
                    Err(payload) if delivered => {
                        panics::log("the response of an outside party", payload);
                        let broken = Unrecorded::Broken("the body of the response panicked".into());
                        return Poll::Ready(End::Undelivered(broken));
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

/// Returns whether the job ends since its response is too large.
fn is_too_large(end: &End) -> bool {
    let End::Outcome(Outcome::Failed(problem), _) = end else {
        return false;
    };
    problem.problem_type() == Some(ProblemType::ResultTooLarge)
}

fn service_failed(error: BoxError) -> Outcome {
    if let Some(unresumable) = error.downcast_ref::<Unresumable>() {
        return unresumable.outcome();
    }
    tracing::error!(%error, "the service of a job failed");
    unkept::failed(&*error, "the service failed")
}

/// Returns a failure whose details are only logged; clients learn its kind.
fn panicked(payload: Payload) -> Outcome {
    panics::log("the handler of a job", payload);
    let problem = Problem::new(ProblemType::JobFailed);
    Outcome::Failed(problem.with_detail("the handler panicked"))
}

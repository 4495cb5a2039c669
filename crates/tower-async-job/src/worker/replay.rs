//! The run of a claimed job.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Request;
use http_polling::{RequestHead, idempotency_key};
use tokio::time::Instant;
use tower::{BoxError, Service, ServiceExt};
use tower_async_job_core::{Claim, IdempotencyKey, NewJob, Release, StoredRequest, Task};
use tracing::Span;

use crate::{
    body::{JobBody, StoredBody},
    bounds::{HandlerBody, HandlerService},
    context::handler::HandlerContext,
    node::{capacity::Admission, front::Front, places::Place},
    observe::links::span_of_rerun,
    panics::{self, Panicked},
    request::kept::HeadOnly,
    run::{
        attempt::Run,
        spawn::spawn,
        task::Job,
        terms::{Rerun, Terms},
        unresumable::Unresumable,
        work::{BoxWork, put_off},
    },
    time::after,
    worker::aside::Aside,
};

/// The time after which a job whose run could not begin may be claimed again.
const FAILED: Duration = Duration::from_secs(1);

/// Runs a job that was claimed by a call at that time, or releases it. Returns whether it runs.
pub(super) fn start<S, R>(
    front: &Arc<Front>,
    service: &S,
    claim: Claim,
    called: Instant,
    place: Place,
    aside: &Aside,
) -> bool
where
    S: HandlerService<StoredBody, R> + Clone,
    R: HandlerBody,
{
    let (node, lease) = (&front.node, claim.lease);
    let started = panics::catching("the service of a worker, or a hook", || {
        let (run, span) = begin(front, service, claim, called, place, aside)?;
        span.in_scope(|| spawn(node, Job::Running(run)));
        Ok(())
    });
    let how = match started {
        Ok(Ok(())) => return true,
        Ok(Err(how)) => how,
        // It may panic in each attempt.
        Err(Panicked) => Release::default().with_after(FAILED),
    };
    let _ = node.releases.release(lease, how);
    false
}

/// Begins the run of a claimed job, and its span. Fails with the terms of its release if it cannot run now.
fn begin<S, R>(
    front: &Arc<Front>,
    service: &S,
    claim: Claim,
    called: Instant,
    place: Place,
    aside: &Aside,
) -> Result<(Run<R, BoxError>, Span), Release>
where
    S: HandlerService<StoredBody, R> + Clone,
    R: HandlerBody,
{
    let node = &front.node;
    let unrun = Release::default().with_counts(false);
    if node.shutdown.begun.is_set() {
        return Err(unrun);
    }
    let Task::Run(stored) = &claim.task else {
        return Err(unrun.with_after(FAILED));
    };
    let principal = claim.principal.as_ref();
    let admission = match front.place(principal) {
        Ok(admission) if !admission.as_ref().is_some_and(|it| it.is_queued()) => admission,
        _ => return Err(unrun.with_after(aside.pause(principal))),
    };
    let context = HandlerContext::new(claim.attempt);
    let mut restored = front.config.restore(stored, claim.principal.as_ref());
    let mut span = Span::none();
    if let Ok(request) = &mut restored {
        span = span_of_rerun(request.headers());
        request.extensions_mut().insert((*context).clone());
    }
    context.handle_or(claim.handle);
    context.resume(claim.checkpoint.clone());
    let mut terms = terms(front, &claim, stored, restored.as_ref().ok());
    terms.since = called;
    terms.deadline = after(called, claim.remaining);
    terms.held.place = Some(place);
    if restored.as_ref().is_ok_and(HeadOnly::is) {
        terms.rerun = Rerun::WithCheckpoint;
        if claim.checkpoint.is_empty() {
            restored = Err(Unresumable.into());
        }
    }
    let work = work(service.clone(), restored, admission);
    let now = Instant::now();
    let mut run = Run::new(node.clone(), claim.lease, work, context, terms, now);
    // Announced long ago, so it is never discarded.
    run.announced();
    node.meter.claimed(claim.attempt);
    tracing::debug!(handle = %claim.handle, attempt = claim.attempt, "job claimed");
    Ok((run, span))
}

/// Returns the terms of a claimed job.
fn terms<B>(
    front: &Front,
    claim: &Claim,
    stored: &StoredRequest,
    request: Option<&Request<B>>,
) -> Terms {
    let config = &front.config;
    let chosen = request.and_then(|request| config.policy_of(RequestHead::of(request)).ok()?);
    let mut job = NewJob::new(claim.lease.id)
        .with_handle(claim.handle)
        .with_route(claim.route.clone())
        .with_protocol(claim.protocol)
        .with_pending_status(claim.pending_status)
        .with_request(stored.clone())
        .with_created(claim.created)
        .with_deadline(claim.age.saturating_add(claim.remaining))
        .with_max_attempts(claim.max_attempts)
        .with_retention(claim.retention)
        .with_epoch(claim.lease.epoch)
        .with_version(claim.version);
    job.principal.clone_from(&claim.principal);
    job.notify.clone_from(&claim.notify);
    let key = request.and_then(|request| idempotency_key(request.headers()));
    let key = key.zip(claim.fingerprint);
    job.idempotency = key.and_then(|(key, print)| IdempotencyKey::new(key, print).ok());
    let mut terms = Terms::of(&job, &front.node);
    terms.label = config.route.as_ref().map(|_| claim.route.clone());
    terms.target = request.map(|request| request.uri().path().into());
    terms.result_limit = chosen.map(|policy| policy.result_limit);
    terms
}

/// Returns the work of an attempt at a restored request.
fn work<S, R>(
    service: S,
    restored: Result<Request<JobBody<StoredBody>>, BoxError>,
    admission: Option<Box<Admission>>,
) -> BoxWork<R, BoxError>
where
    S: HandlerService<StoredBody, R>,
    R: Send + 'static,
{
    let (request, failed) = match restored {
        Ok(request) => (request, None),
        Err(error) => (Request::default(), Some(error)),
    };
    let attempt = Attempt {
        service: service.map_err(S::Error::into),
        failed,
    };
    put_off(attempt, request, admission)
}

/// A service that fails if its request could not be restored.
struct Attempt<S> {
    service: S,
    failed: Option<BoxError>,
}

impl<S, T> Service<T> for Attempt<S>
where
    S: Service<T, Error = BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: T) -> S::Future {
        self.service.call(request)
    }
}

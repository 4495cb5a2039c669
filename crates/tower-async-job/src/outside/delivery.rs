//! The recording of a response that an outside party delivers.

use std::{fmt, sync::Arc};

use http::Response;
use http_polling::JobState;
use tokio::{sync::oneshot, time::Instant};
use tokio_util::task::task_tracker::TaskTrackerToken;
use tower::BoxError;
use tower_async_job_core::{Claim, Lease, Release};

use super::{
    error::{Kind, OutsideError},
    pending::pending,
};
use crate::{
    context::handler::HandlerContext,
    node::{front::Front, registration::Registration},
    run::{
        attempt::Run,
        handover::Delivered,
        recording::Unrecorded,
        spawn::spawn,
        task::Job,
        terms::{Held, Rerun, Terms},
        work::BoxWork,
    },
    time::after,
};

/// A job that was taken over from an outside party, to record its response. Created by
/// [`OutsideRun::resume`](crate::OutsideRun::resume).
///
/// The job's lease is renewed as long as it exists. If it is dropped, the job is with the party again.
///
/// ```
/// # async fn example(run: tower_async_job::OutsideRun) -> Result<(), tower_async_job::OutsideError> {
/// use bytes::Bytes;
/// use http::Response;
/// use http_body_util::Full;
///
/// let delivery = run.resume().await?;
/// let limit = match delivery.route() {
///     "POST /thumbnail" => 1 << 20,
///     _ => 16 << 20,
/// };
/// let response = Response::new(Full::<Bytes>::from("the result"));
/// delivery.result_limit(limit).record(response).await
/// # }
/// ```
#[must_use = "without a response, the job is with the party again"]
pub struct Delivery {
    front: Arc<Front>,
    lease: Lease,
    terms: Terms,
    context: HandlerContext,
    /// The time since which the party has worked, at most.
    begun: Instant,
    /// Has the lease renewed, and releases the job if it is dropped.
    registration: Registration,
    open: TaskTrackerToken,
}

impl Delivery {
    /// Creates the delivery of a job that was taken over by a call at a time.
    pub(super) fn new(
        front: Arc<Front>,
        claim: Claim,
        called: Instant,
        open: TaskTrackerToken,
    ) -> Self {
        let node = &front.node;
        let label = front.config.route.as_ref();
        let terms = Terms {
            handle: claim.handle,
            label: label.map(|_| claim.route.clone()),
            route: claim.route,
            principal: claim.principal,
            target: None,
            since: called,
            deadline: after(called, claim.remaining),
            result_limit: None,
            restorable: None,
            rerun: Rerun::Never,
            held: Held::default(),
        };
        node.keeps_for(claim.retention.result);
        let context = HandlerContext::new(claim.attempt);
        context.handle_or(claim.handle);
        context.stored();
        let registered = terms.registered(false);
        let mut registration =
            Registration::new(node.clone(), claim.lease, context.clone(), registered);
        registration.announced();
        Self {
            lease: claim.lease,
            terms,
            context,
            begun: called.checked_sub(claim.age).unwrap_or(called),
            registration,
            open,
            front,
        }
    }

    /// Returns the route of the job.
    #[must_use]
    pub fn route(&self) -> &str {
        &self.terms.route
    }

    /// Sets the limit of the result in bytes. Default: that of the
    /// [builder](crate::Builder::result_limit).
    pub fn result_limit(mut self, bytes: usize) -> Self {
        self.terms.result_limit = Some(bytes);
        self
    }

    /// Records the response, and ends the job with it.
    ///
    /// It is treated like the response of a handler: the same headers are kept, its body is read as
    /// fast as the store takes it, and the job's lease is renewed meanwhile. A `Location` or
    /// `Content-Location` is left out if it is relative, since its base is not known. A task continues
    /// if the future is dropped. Once this returns `Ok`, the job's client is served the response.
    ///
    /// # Errors
    ///
    /// Fails if the body breaks off, or the store has no room or is out of reach for too long: the
    /// job is then with the party again, which may repeat the delivery. Fails for good if the response
    /// is [too large](OutsideError::is_too_large), or the job is no longer with this delivery.
    pub async fn record<R>(self, mut response: Response<R>) -> Result<(), OutsideError>
    where
        R: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        // It could release the job again.
        response.extensions_mut().remove::<Release>();
        let (sender, receiver) = oneshot::channel();
        let Self {
            front,
            lease,
            terms,
            context,
            begun,
            registration,
            open,
        } = self;
        let (work, attempt) = (BoxWork::answered(response), context.attempt());
        let run = Run::<R, BoxError>::registered(registration, work, context, terms, begun);
        spawn(&front.node, Job::Running(run.delivering(sender)));
        drop(open);
        // The task is gone: the runtime shuts down, or the store panicked.
        let delivered = receiver.await.map_err(|_| Kind::Unrecorded)?;
        if delivered.has_lost_lease() {
            return Err(lost(&front, &lease, attempt).await);
        }
        outcome(delivered).map_err(OutsideError::from)
    }
}

/// Returns the outcome of a delivery by the end of its run.
fn outcome(delivered: Delivered) -> Result<(), Kind> {
    match delivered.unrecorded {
        Some(Unrecorded::Broken(error)) => return Err(Kind::Broken(error)),
        Some(Unrecorded::NoRoom(_, error)) => return Err(Kind::Store(error)),
        _ => {}
    }
    let state = delivered.state.and_then(|state| state.parse().ok());
    match state {
        Some(JobState::Done) => Ok(()),
        Some(JobState::Failed) if delivered.is_too_large => Err(Kind::TooLarge),
        Some(JobState::Cancelled) => Err(Kind::Cancelled),
        // A job that is to run again is no longer the party's.
        Some(state) if state != JobState::Running => Err(Kind::Over),
        _ => Err(Kind::Unrecorded),
    }
}

/// Returns the error of a delivery that has lost its lease, by the fate of the job. Unless that is over
/// or with a later delivery here, it is with the party again, or will be once the lease is over.
async fn lost(front: &Front, lease: &Lease, attempt: u32) -> OutsideError {
    match pending(front, &lease.id, attempt).await {
        Ok(_) if front.node.registry.has_later(lease) => Kind::Superseded.into(),
        Ok(_) => Kind::Unrecorded.into(),
        Err(error) => error,
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("route", &self.terms.route)
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

//! The hand-over: a request becomes a job after its inline wait, unless its handler ends first.

use std::{
    future::{pending, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use http::Response;
use tokio::{
    sync::oneshot,
    time::{Sleep, sleep_until},
};
use tower::BoxError;
use tower_async_job_core::{Principal, StoreError};

use crate::{
    answer::{self, AcceptedJob},
    body::StoredBody,
    bounds::HandlerBody,
    call::terms::new_job,
    config::{OnDisconnect, OnStoreFailure},
    context::{handler::HandlerContext, job::JobContext},
    node::front::Front,
    panics::{self, Panicked, Payload, drop_quietly},
    request::submission::Submission,
    run::{
        accept::{Acceptance, Accepted, Stored, Unaccepted},
        attempt::Run,
        spawn::spawn,
        task::Job,
        terms::Rerun,
        work::{BoxWork, is_release},
    },
};

/// The outcome of handed-over work, as its connection receives it.
pub(crate) enum Early<R, E> {
    /// The handler ended before a job was made of the principal's request.
    Finished(
        Result<Response<R>, E>,
        Option<Principal>,
        Option<HandlerContext>,
    ),
    /// The handler panicked before a job was made.
    Panicked(Payload),
    /// The layer answers: the job is accepted or refused.
    Answered(Response<StoredBody>),
}

pub(crate) struct Deferral<R, E> {
    pub(crate) front: Arc<Front>,
    pub(crate) work: BoxWork<R, E>,
    pub(crate) submission: Submission,
    pub(crate) context: Option<HandlerContext>,
    /// The handler has left the job to an outside party.
    pub(crate) is_left: bool,
}

impl<R, E> Deferral<R, E>
where
    R: HandlerBody,
    E: Into<BoxError> + Send + 'static,
{
    /// Makes a job of the work. If the store does not answer at once, a tracked task continues and
    /// reports the outcome.
    pub(crate) fn begin(self) -> HandedOver<R, E> {
        let protocol = self.submission.asked.protocol;
        // Contains panics like a task: one of the store, estimator or hook ends this call alone.
        panics::catching("the hand-over of a call", || self.begin_now())
            .unwrap_or_else(|Panicked| HandedOver::Answered(answer::panicked(protocol)))
    }

    fn begin_now(self) -> HandedOver<R, E> {
        let front = self.front.clone();
        let context = self.context.as_deref();
        if let Some(context) = context {
            context.storing();
        }
        let (job, terms) = new_job(
            &front,
            &self.submission,
            context,
            None,
            self.work.is_queued(),
        );
        let acceptance = match Acceptance::begin(&front.node, job, terms) {
            Ok(stored) => {
                let (accepted, answer) = self.accepted(stored);
                if let Some(run) = accepted.announced() {
                    spawn(&front.node, Job::Running(run));
                }
                return HandedOver::Answered(answer);
            }
            Err(acceptance) => acceptance,
        };
        let (sender, receiver) = oneshot::channel();
        let acceptance = self.accept(acceptance, sender);
        spawn(&front.node, Job::Accepting(Box::pin(acceptance)));
        HandedOver::Waiting(receiver)
    }

    /// Commits the job and answers with its acceptance. Returns `None` if it does not run here.
    async fn accept(
        mut self,
        acceptance: Acceptance,
        mut early: oneshot::Sender<Early<R, E>>,
    ) -> Option<Run<R, E>> {
        let front = self.front.clone();
        let protocol = self.submission.asked.protocol;
        // At the deadline, the connection answers a client that is still there, and then closes
        // `early`.
        let mut deadline = pin!(sleep_until(acceptance.deadline()));
        let context = self.context.as_deref().filter(|it| it.is_shared()).cloned();
        let mut storing = pin!(async {
            let stored = acceptance.sent(pending()).await.end()?;
            if let Some(context) = &context {
                stored.save_checkpoint(context).await;
            }
            Ok(stored)
        });
        let stored = Some(storing.as_mut() as Storing<'_>);
        let event = match self.next(&mut early, deadline.as_mut(), stored).await {
            Event::Stored(Ok(stored)) => {
                let accepted = panics::catching("the estimator", || self.accepted(stored));
                let Ok((accepted, answer)) = accepted else {
                    let _ = early.send(Early::Answered(answer::panicked(protocol)));
                    return None;
                };
                if early.send(Early::Answered(answer)).is_err()
                    && front.config.on_disconnect == OnDisconnect::Cancel
                {
                    return None;
                }
                return accepted.announced();
            }
            Event::Stored(Err(Unaccepted::Failed(error)))
                if front.config.on_store_failure == OnStoreFailure::Refuse
                    || self.is_refused(&error) =>
            {
                let _ = early.send(Early::Answered(answer::not_stored(
                    &front.node.meter,
                    &error,
                    protocol,
                )));
                return None;
            }
            Event::Stored(Err(_)) => {
                if let Some(context) = &self.context {
                    context.unstored();
                }
                self.next(&mut early, deadline, None).await
            }
            event => {
                self.leave(event, early);
                // No client learns of a job that is stored nevertheless, so it is discarded.
                drop(storing.await);
                return None;
            }
        };
        self.leave(event, early);
        None
    }

    /// Returns whether the call has not begun, and is beyond the limit of waiting jobs.
    fn is_refused(&self, error: &StoreError) -> bool {
        (error.is_queue_full() || error.is_quota_exceeded()) && self.work.is_queued()
    }

    /// Ends the call without a job: with the handler's answer if there is one. Otherwise the
    /// handler is dropped, since no client waits for it.
    fn leave(self, event: Event<R, E>, early: oneshot::Sender<Early<R, E>>) {
        // The drop may panic.
        let unheard = match event {
            Event::Ended(Ok(result)) => {
                if let Some(context) = &self.context {
                    context.unstored();
                }
                let principal = self.submission.principal;
                early.send(Early::Finished(result, principal, self.context))
            }
            Event::Ended(Err(payload)) => early.send(Early::Panicked(payload)),
            Event::Stored(_) | Event::Gone => Ok(()),
        };
        drop_quietly(unheard);
    }

    /// Waits for the first of: the end of the handler, the loss of the client, the stored record. A
    /// handler that gives its job back waits for the record.
    async fn next(
        &mut self,
        early: &mut oneshot::Sender<Early<R, E>>,
        mut deadline: Pin<&mut Sleep>,
        mut storing: Option<Storing<'_>>,
    ) -> Event<R, E> {
        let mut given_up = pin!(self.front.node.shutdown.given_up.wait());
        let cancel_on_disconnect = self.front.config.on_disconnect == OnDisconnect::Cancel;
        let rerun = self.submission.rerun();
        let mut gives_back = self.is_left && storing.is_some();
        poll_fn(|cx| {
            if !gives_back && let Poll::Ready(end) = self.work.poll_catching(cx) {
                let end = match storing {
                    Some(_) => keep(&mut self.work, rerun, self.context.as_deref(), end),
                    None => Some(end),
                };
                match end {
                    Some(end) => return Poll::Ready(Event::Ended(end)),
                    None => gives_back = true,
                }
            }
            if early.poll_closed(cx).is_ready()
                && (cancel_on_disconnect || deadline.as_mut().poll(cx).is_ready())
            {
                return Poll::Ready(Event::Gone);
            }
            if let Some(storing) = &mut storing
                && let Poll::Ready(stored) = storing.as_mut().poll(cx)
            {
                return Poll::Ready(Event::Stored(stored));
            }
            given_up.as_mut().poll(cx).map(|()| Event::Gone)
        })
        .await
    }

    /// Returns a stored job, and the answer that announces it.
    #[inline(always)]
    fn accepted(self, stored: Stored) -> (Accepted<R, E>, Response<StoredBody>) {
        let (created, now, is_queued) = (stored.created, stored.stored, self.work.is_queued());
        // Registered before the answer is sent, so that a DELETE after it finds the job.
        let accepted = stored.accept(self.work, self.context);
        let context = accepted.context();
        let job = AcceptedJob {
            id: &accepted.id(),
            route: accepted.route(),
            queued: is_queued || context.is_none(),
            created,
            age: Duration::ZERO,
            now,
            context,
        };
        let answer = answer::accepted(&self.front, &job, &self.submission);
        (accepted, answer)
    }
}

pub(crate) enum HandedOver<R, E> {
    /// The job is stored, and its task runs.
    Answered(Response<StoredBody>),
    /// A task will report the outcome.
    Waiting(oneshot::Receiver<Early<R, E>>),
}

type Storing<'a> = Pin<&'a mut (dyn Future<Output = Result<Stored, Unaccepted>> + Send)>;

/// The end of a handler; `Err` is the payload of its panic.
type End<R, E> = Result<Result<Response<R>, E>, Payload>;

enum Event<R, E> {
    Ended(End<R, E>),
    Stored(Result<Stored, Unaccepted>),
    /// The client disconnected before the acceptance, and its work is cancelled or past its
    /// deadline; or the grace of a shutdown is over.
    Gone,
}

/// Keeps a response by which the handler releases its job, which is of use once there is one. Returns
/// any other end.
fn keep<R, E>(
    work: &mut BoxWork<R, E>,
    rerun: Rerun,
    context: Option<&JobContext>,
    end: End<R, E>,
) -> Option<End<R, E>>
where
    R: Send + 'static,
    E: 'static,
{
    match end {
        Ok(Ok(response)) if is_release(&response, rerun.is_possible(context)) => {
            work.end_with(response);
            None
        }
        end => Some(end),
    }
}

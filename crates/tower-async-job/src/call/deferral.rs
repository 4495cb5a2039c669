//! The hand-over: a request becomes a job after its inline wait, unless its handler ends first.

use std::{
    future::{poll_fn, ready},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::SystemTime,
};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};
use tower::BoxError;
use tower_async_job_core::{Created, Lease, NewJob, Principal, StoreError, StoreFuture};

use crate::{
    answer::{self, AcceptedJob},
    body::StoredBody,
    call::terms::{new_job, terms},
    config::{OnDisconnect, OnStoreFailure},
    context::handler::HandlerContext,
    node::{front::Front, registration::discard},
    panics::{self, Panicked, Payload, drop_quietly},
    request::submission::Submission,
    run::{
        accept::{self, accept, may_be_stored},
        attempt::Run,
        restore::Creation,
        spawn::spawn,
        task::Job,
        work::BoxWork,
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
}

impl<R, E> Deferral<R, E>
where
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
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
        let job = new_job(
            &front,
            &self.submission,
            self.context.as_deref(),
            None,
            self.work.is_queued(),
        );
        let (route, lease) = (job.route.clone(), job.first_lease());
        let creation = Creation::of(&job, &front.node);
        let create = match front.node.store.create_now(job) {
            Ok(Ok(Created::New { lease, created })) => {
                let (mut run, answer) = self.accepted(lease, created, route, creation);
                run.announced();
                spawn(&front.node, Job::Running(run));
                return HandedOver::Answered(answer);
            }
            Ok(created) => Create::Done(created),
            Err(job) => Create::Due(Box::new(job)),
        };
        let (sender, receiver) = oneshot::channel();
        let acceptance = self.accept(create, lease, route, creation, sender);
        spawn(&front.node, Job::Accepting(Box::pin(acceptance)));
        HandedOver::Waiting(receiver)
    }

    /// Commits the job and answers with its acceptance. Returns `None` if the call ended otherwise.
    async fn accept(
        mut self,
        create: Create,
        lease: Lease,
        route: Arc<str>,
        creation: Creation,
        mut early: oneshot::Sender<Early<R, E>>,
    ) -> Option<Run<R, E>> {
        let front = self.front.clone();
        let mut create: CreateFuture<'_> = match create {
            Create::Done(created) => Box::pin(ready(created)),
            Create::Due(job) => Box::pin(accept::create(&front.node, *job)),
        };
        let event = match self.next(&mut early, Some(&mut create)).await {
            Event::Created(Ok(Created::New { lease, created })) => {
                let protocol = self.submission.asked.protocol;
                let accepted = panics::catching("the estimator", || {
                    self.accepted(lease, created, route, creation)
                });
                let Ok((mut run, answer)) = accepted else {
                    let _ = early.send(Early::Answered(answer::panicked(protocol)));
                    return None;
                };
                if early.send(Early::Answered(answer)).is_err()
                    && front.config.on_disconnect == OnDisconnect::Cancel
                {
                    run.withdraw().await;
                    return None;
                }
                run.announced();
                return Some(run);
            }
            Event::Created(Ok(_)) => self.next(&mut early, None).await,
            Event::Created(Err(error)) => {
                tracing::warn!(%error, "a job could not be stored");
                if error.is_unavailable() {
                    let node = front.node.clone();
                    let take_back = async move { discard(&node, &lease).await };
                    front.node.tasks.spawn(take_back);
                }
                if front.config.on_store_failure == OnStoreFailure::Refuse {
                    let refusal = answer::not_stored(&error, self.submission.asked.protocol);
                    let _ = early.send(Early::Answered(refusal));
                    return None;
                }
                self.next(&mut early, None).await
            }
            event => {
                self.leave(event, early);
                // No client learns of a job that is stored nevertheless.
                if may_be_stored(&create.await) {
                    discard(&front.node, &lease).await;
                }
                return None;
            }
        };
        self.leave(event, early);
        None
    }

    /// Ends the call without a job: with the handler's answer if there is one. Otherwise the
    /// handler is dropped, since no client waits for it.
    fn leave(self, event: Event<R, E>, early: oneshot::Sender<Early<R, E>>) {
        // The drop may panic.
        let unheard = match event {
            Event::Ended(Ok(result)) => {
                let principal = self.submission.principal;
                early.send(Early::Finished(result, principal, self.context))
            }
            Event::Ended(Err(payload)) => early.send(Early::Panicked(payload)),
            Event::Created(_) | Event::Gone => Ok(()),
        };
        drop_quietly(unheard);
    }

    /// Waits for the first of: the end of the handler, the loss of the client, the stored record.
    async fn next(
        &mut self,
        early: &mut oneshot::Sender<Early<R, E>>,
        mut create: Option<&mut CreateFuture<'_>>,
    ) -> Event<R, E> {
        let mut given_up = pin!(self.front.node.shutdown.given_up.wait());
        let cancel_on_disconnect = self.front.config.on_disconnect == OnDisconnect::Cancel;
        // At the deadline, the connection answers a client that is still there, and then closes
        // `early`.
        let mut deadline = pin!(sleep(self.submission.deadline(&self.front.config)));
        poll_fn(|cx| {
            if let Poll::Ready(end) = self.work.poll_catching(cx) {
                return Poll::Ready(Event::Ended(end));
            }
            if early.poll_closed(cx).is_ready()
                && (cancel_on_disconnect || deadline.as_mut().poll(cx).is_ready())
            {
                return Poll::Ready(Event::Gone);
            }
            if let Some(create) = &mut create
                && let Poll::Ready(created) = create.as_mut().poll(cx)
            {
                return Poll::Ready(Event::Created(created));
            }
            given_up.as_mut().poll(cx).map(|()| Event::Gone)
        })
        .await
    }

    /// Returns the run of a stored job, and the answer that announces it.
    fn accepted(
        self,
        lease: Lease,
        created: SystemTime,
        route: Arc<str>,
        creation: Creation,
    ) -> (Run<R, E>, Response<StoredBody>) {
        let Self {
            front,
            work,
            submission,
            context,
        } = self;
        let (queued, now) = (work.is_queued(), Instant::now());
        // Registered before the answer is sent, so that a DELETE after it finds the job.
        let creation = creation.at(created);
        let terms = terms(&front, &submission, route.clone(), creation, now);
        let run = accept(&front.node, lease, work, context, terms);
        let (id, context) = (&lease.id, run.context());
        let job = AcceptedJob {
            id,
            route: &route,
            queued,
            created,
            now,
        };
        let answer = answer::accepted(&front, &job, &submission, context);
        (run, answer)
    }
}

pub(crate) enum HandedOver<R, E> {
    /// The job is stored, and its task runs.
    Answered(Response<StoredBody>),
    /// A task will report the outcome.
    Waiting(oneshot::Receiver<Early<R, E>>),
}

enum Create {
    Due(Box<NewJob>),
    Done(Result<Created, StoreError>),
}

type CreateFuture<'a> = StoreFuture<'a, Created>;

enum Event<R, E> {
    Ended(Result<Result<Response<R>, E>, Payload>),
    Created(Result<Created, StoreError>),
    /// The client disconnected before the acceptance, and its work is cancelled or past its
    /// deadline; or the grace of a shutdown is over.
    Gone,
}

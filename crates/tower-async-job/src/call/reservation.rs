//! A submission that takes its key and becomes a job, and the wait of its client.

use std::{sync::Arc, time::SystemTime};

use tokio::{runtime::Handle, sync::oneshot, time::Instant};
use tower::BoxError;
use tower_async_job_core::{
    JobHandle, JobId, JobRecord, NewJob, Outcome, Protocol, RecordedOutcome, ResultRef,
};

use crate::{
    answer::AcceptedJob,
    bounds::HandlerBody,
    config::OnDisconnect,
    context::{handler::HandlerContext, job::JobContext, reason::CancelReason},
    node::{front::Front, state::Node},
    observe::with_sources,
    panics,
    run::{
        accept::{Acceptance, Unaccepted},
        attempt::Run,
        handover::{Ended, Waiting},
        spawn::spawn,
        task::Job,
        terms::Terms,
        work::BoxWork,
    },
};

/// A call that takes its key and becomes a job.
pub(super) struct Reservation<R, E> {
    pub(super) front: Arc<Front>,
    pub(super) job: NewJob,
    pub(super) terms: Terms,
    pub(super) work: BoxWork<R, E>,
    pub(super) context: Option<HandlerContext>,
    /// The end of the inline wait of its first client.
    pub(super) until: Instant,
}

/// The job of the call, with the receiver of its end.
pub(super) type Taken = Result<(First, oneshot::Receiver<Box<Ended>>), Unaccepted>;

impl<R, E> Reservation<R, E>
where
    R: HandlerBody,
    E: Into<BoxError> + Send + 'static,
{
    /// Takes the key in the job's own task, so that a disconnect leaves no job behind that does not
    /// run.
    pub(super) fn spawn(self) -> oneshot::Receiver<Taken> {
        let (sender, receiver) = oneshot::channel();
        let front = self.front.clone();
        spawn(&front.node, Job::Accepting(Box::pin(self.take(sender))));
        receiver
    }

    async fn take(mut self, mut sender: oneshot::Sender<Taken>) -> Option<Run<R, E>> {
        let (handle, protocol) = (self.job.handle, self.job.protocol);
        let route = self.terms.route.clone();
        let is_repeatable = self.job.idempotency.is_some();
        let depends = !is_repeatable && self.front.config.on_disconnect == OnDisconnect::Cancel;
        let stored = match Acceptance::begin(&self.front.node, self.job, self.terms) {
            Ok(stored) => Ok(stored),
            Err(acceptance) => {
                let mut sent = acceptance.sent(sender.closed()).await;
                if let Some(error) = sent.unknown() {
                    // The client repeats its request, and then has this job if it is stored. Until
                    // that is known, the work would hold its place for no client.
                    let _ = sender.send(Err(Unaccepted::Failed(error.clone())));
                    sender = oneshot::channel().0;
                    if let Some(admission) = self.work.admission() {
                        admission.hand_back();
                    }
                    sent = sent.known().await;
                    if let Some(admission) = self.work.admission() {
                        admission.stand_in();
                    }
                }
                sent.end()
            }
        };
        let stored = match stored {
            Ok(stored) => stored,
            Err(reason) => {
                drop(self.work);
                let _ = sender.send(Err(reason));
                return None;
            }
        };
        let (created, is_queued) = (stored.created, self.work.is_queued());
        let accepted = stored.accept(self.work, self.context);
        let first = First {
            id: accepted.id(),
            handle,
            protocol,
            route,
            created,
            accepted: Instant::now(),
            is_queued,
            is_offered: accepted.context().is_none(),
            unanswered: depends.then(|| Unanswered {
                node: self.front.node.clone(),
                id: accepted.id(),
                handle,
                is_answered: false,
            }),
            context: accepted.context().cloned(),
        };
        let (waiting, ended) = Waiting::new(self.until);
        let run = accepted.announced();
        let _ = sender.send(Ok((first, ended)));
        run.map(|run| run.awaited(waiting))
    }
}

/// The job of a call, as its own client knows it without reading it.
pub(super) struct First {
    pub(super) id: JobId,
    handle: JobHandle,
    protocol: Protocol,
    route: Arc<str>,
    created: SystemTime,
    accepted: Instant,
    is_queued: bool,
    /// Any worker may run it.
    pub(super) is_offered: bool,
    /// `None` if the client can repeat its request.
    pub(super) unanswered: Option<Unanswered>,
    context: Option<JobContext>,
}

/// A job whose client has no answer, and no way to ask again. If it is dropped before the answer, the
/// job is cancelled.
pub(super) struct Unanswered {
    node: Arc<Node>,
    id: JobId,
    handle: JobHandle,
    is_answered: bool,
}

impl Unanswered {
    pub(super) fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let (node, id, handle) = (self.node.clone(), self.id, self.handle);
            let cancelling = Box::pin(async move {
                node.registry.cancel(&id);
                if let Err(error) = node.store.cancel(&id).await {
                    tracing::warn!(error = with_sources(&error), %handle, "a job without a client was not cancelled");
                }
            });
            let cancelling = panics::logged("the job store", cancelling);
            self.node.tasks.spawn_on(cancelling, &runtime);
        }
    }
}

impl First {
    /// Returns the job if it runs or is offered since its acceptance, and has reported nothing.
    pub(super) fn unreported(&self, front: &Front) -> Option<AcceptedJob<'_>> {
        let limit = front.node.config.report_limit;
        let context = self.context.as_ref();
        let has_reported = context.is_some_and(|context| context.reported(limit).is_some());
        (!self.is_queued && !has_reported).then(|| AcceptedJob {
            id: &self.id,
            route: &self.route,
            queued: self.is_offered,
            created: self.created,
            age: self.accepted.elapsed(),
            now: Instant::now(),
            context,
        })
    }

    /// Returns whether its run here has ended, and is being stored.
    pub(super) fn is_ending(&self) -> bool {
        let reason = self.context.as_ref().and_then(JobContext::cancel_reason);
        reason == Some(CancelReason::Over)
    }

    /// Returns the record of the job with its end.
    pub(super) fn record(&self, ended: Ended) -> JobRecord {
        let Ended { lease, outcome } = ended;
        let mut record = JobRecord::new(self.id, self.handle, outcome.state());
        record.protocol = self.protocol;
        record.outcome = match outcome {
            Outcome::Done(response) => Some(RecordedOutcome::Response(response)),
            Outcome::Streamed { head, chunks, len } => {
                record.result = Some(ResultRef::new(lease, len).with_chunks(chunks));
                Some(RecordedOutcome::Head(head))
            }
            Outcome::Failed(problem) | Outcome::TimedOut(problem) | Outcome::Lost(problem) => {
                Some(RecordedOutcome::Problem(Box::new(problem)))
            }
            _ => None,
        };
        record
    }
}

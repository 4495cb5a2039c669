//! The acceptance of jobs: stored first, then run.

use std::{
    future::{pending, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, timeout_at};
use tower::BoxError;
use tower_async_job_core::{Created, JobHandle, JobId, JobRecord, Lease, NewJob, StoreError};

use crate::{
    bounds::HandlerBody,
    context::{handler::HandlerContext, job::JobContext},
    node::{
        housekeeping::keep_house, patience::Patience, registration::discard_later, state::Node,
    },
    observe::with_sources,
    run::{attempt::Run, terms::Terms, work::BoxWork},
    time::after,
};

/// A job that is being stored. If it is dropped, the job is discarded.
pub(crate) struct Acceptance {
    unrun: Unrun,
    terms: Terms,
    /// The job is still to be sent if the store could not answer immediately.
    answer: Result<Result<Created, StoreError>, Box<NewJob>>,
}

/// The reason why a submission makes no job.
pub(crate) enum Unaccepted {
    /// The same submission has this job.
    Existing(Box<JobRecord>),
    KeyReused,
    Failed(StoreError),
}

impl Acceptance {
    /// Stores a job immediately, if the store can do that. Otherwise, the acceptance is to be awaited.
    // Inlined, since the parts of a job are expensive to move.
    #[inline(always)]
    #[allow(clippy::result_large_err, reason = "it is boxed where it is awaited")]
    pub(crate) fn begin(node: &Arc<Node>, job: NewJob, terms: Terms) -> Result<Stored, Self> {
        let unrun = Unrun {
            node: node.clone(),
            lease: job.first_lease(),
            handle: job.handle,
            may_be_stored: true,
            has_key: job.idempotency.is_some() && terms.restorable.is_some(),
        };
        let (created, is_offered) = match node.store.create_now(job) {
            Ok(Ok(Created::New { created, .. })) => (created, false),
            Ok(Ok(Created::Offered { created })) => (created, true),
            answer => {
                return Err(Self {
                    unrun,
                    terms,
                    answer: answer.map_err(Box::new),
                });
            }
        };
        Ok(Stored {
            unrun,
            stored: terms.since,
            terms,
            created,
            is_offered,
        })
    }

    /// Returns the deadline of the job.
    pub(crate) fn deadline(&self) -> Instant {
        self.terms.deadline
    }

    /// Stores the job. While the outcome is unknown, the call is repeated for a third of a lease, as
    /// long as the client is not `gone`.
    pub(crate) async fn sent(self, gone: impl Future<Output = ()>) -> Sent {
        let created = match self.answer {
            Ok(created) => created,
            Err(job) => self.unrun.node.store.create(*job).await,
        };
        let sent = Sent {
            is_unknown: matches!(&created, Err(error) if error.is_unavailable()),
            unrun: self.unrun,
            terms: self.terms,
            created,
        };
        sent.repeated(1, gone).await
    }
}

/// A job that was sent to the store. If it is dropped, the job is discarded.
pub(crate) struct Sent {
    unrun: Unrun,
    terms: Terms,
    created: Result<Created, StoreError>,
    /// The outcome of a call is unknown.
    is_unknown: bool,
}

impl Sent {
    /// Returns the error if it is not known whether the job is stored, and other clients may find it
    /// by its key.
    pub(crate) fn unknown(&self) -> Option<&StoreError> {
        let error = self.created.as_ref().err();
        error.filter(|error| error.is_unavailable() && self.unrun.has_key)
    }

    /// Repeats the call, whether or not a client waits, as long as the job's lease could still be
    /// renewed.
    pub(crate) async fn known(self) -> Self {
        self.repeated(2, pending()).await
    }

    async fn repeated(mut self, thirds: u32, gone: impl Future<Output = ()>) -> Self {
        if self.is_unknown
            && let Some(again) = &self.terms.restorable
        {
            let lease = self.unrun.node.store.properties().lease.unwrap_or_default();
            let time = (lease / 3 * thirds).saturating_sub(self.terms.since.elapsed());
            let job = || again.job().clone();
            self.created = repeat(&self.unrun.node, time, job, self.created, gone).await;
        }
        self
    }

    /// Returns the job if it is stored.
    pub(crate) fn end(self) -> Result<Stored, Unaccepted> {
        let Self {
            mut unrun,
            terms,
            created,
            is_unknown,
        } = self;
        let stored = match created {
            Ok(Created::New { created, .. }) => Ok((created, false)),
            Ok(Created::Offered { created }) => Ok((created, true)),
            Ok(Created::Existing(record)) => Err(Unaccepted::Existing(record)),
            Ok(_) => Err(Unaccepted::KeyReused),
            Err(error) => {
                if error.is_queue_full() || error.is_quota_exceeded() {
                    tracing::debug!(%error, "a job is refused");
                } else {
                    tracing::warn!(error = with_sources(&error), handle = %unrun.handle, "a job could not be stored");
                }
                Err(Unaccepted::Failed(error))
            }
        };
        if let Err(reason) = &stored {
            unrun.may_be_stored = is_unknown && matches!(reason, Unaccepted::Failed(_));
        }
        let (created, is_offered) = stored?;
        Ok(Stored {
            unrun,
            stored: Instant::now(),
            terms,
            created,
            is_offered,
        })
    }
}

/// Repeats a call whose outcome is unknown.
async fn repeat(
    node: &Node,
    time: Duration,
    job: impl Fn() -> NewJob,
    mut created: Result<Created, StoreError>,
    gone: impl Future<Output = ()>,
) -> Result<Created, StoreError> {
    let mut patience = Patience::new(time, &node.shutdown);
    let mut gone = pin!(gone);
    while let Err(error) = &created
        && error.is_unavailable()
        && patience.lasts()
    {
        let job = job();
        tracing::warn!(error = with_sources(error), handle = %job.handle, "a job could not be stored yet");
        let mut again = pin!(async {
            patience.pause().await;
            node.store.create(job).await
        });
        let again = poll_fn(|cx| match again.as_mut().poll(cx) {
            Poll::Pending => gone.as_mut().poll(cx).map(|()| None),
            created => created.map(Some),
        });
        match again.await {
            Some(again) => created = again,
            None => break,
        }
    }
    created
}

/// A stored job. If it is dropped, it is discarded.
pub(crate) struct Stored {
    unrun: Unrun,
    terms: Terms,
    /// The time from which the job is known to be stored.
    pub(crate) stored: Instant,
    /// The time of its creation by the store's clock.
    pub(crate) created: SystemTime,
    is_offered: bool,
}

impl Stored {
    /// Writes the checkpoint that the handler has saved before its request became a job, so that it is
    /// stored before the job is announced. If that fails, or nothing has renewed the lease for a third
    /// of its time, its run repeats it.
    pub(crate) async fn save_checkpoint(&self, context: &JobContext) {
        if self.is_offered || !context.has_unsaved() {
            return;
        }
        let Unrun { node, lease, .. } = &self.unrun;
        let Some(report) = context.take_report(node.config.report_limit) else {
            return;
        };
        let time = node.store.properties().lease.map(|lease| lease / 3);
        let until = after(self.terms.since, time.unwrap_or(Duration::MAX));
        let written = timeout_at(until, node.store.report(lease, report)).await;
        let late = || Err(StoreError::unavailable("the lease is to be renewed first"));
        if let Err(error) = written.unwrap_or_else(|_| late()) {
            tracing::warn!(error = with_sources(&error), job = ?lease.id, "the checkpoint of a job was not stored yet");
            context.report_again();
        } else {
            context.report_written();
        }
    }

    /// Registers the run of the job. If the store has offered the job to all workers, its work is
    /// dropped instead.
    #[inline(always)]
    pub(crate) fn accept<R, E>(
        mut self,
        work: BoxWork<R, E>,
        context: Option<HandlerContext>,
    ) -> Accepted<R, E>
    where
        R: HandlerBody,
        E: Into<BoxError> + Send + 'static,
    {
        if self.is_offered {
            return Accepted::Offered(self);
        }
        self.unrun.may_be_stored = false;
        if let Some(restorable) = &mut self.terms.restorable {
            restorable.created(self.created);
        }
        let (node, lease) = (self.unrun.node.clone(), self.unrun.lease);
        let context = context.unwrap_or_else(|| HandlerContext::new(1));
        let (terms, stored) = (self.terms, self.stored);
        let mut run = Run::new(node, lease, work, context, terms, stored);
        if self.unrun.has_key {
            run.announced();
        }
        Accepted::Running(run)
    }
}

/// A stored job whose acceptance is not sent. If it is dropped, it is discarded.
pub(crate) enum Accepted<R, E> {
    /// It runs here.
    Running(Run<R, E>),
    /// Any worker may run it.
    Offered(Stored),
}

impl<R, E> Accepted<R, E> {
    pub(crate) fn id(&self) -> JobId {
        match self {
            Self::Running(run) => run.registration().lease().id,
            Self::Offered(stored) => stored.unrun.lease.id,
        }
    }

    fn handle(&self) -> JobHandle {
        match self {
            Self::Running(run) => run.registration().handle(),
            Self::Offered(stored) => stored.unrun.handle,
        }
    }

    pub(crate) fn route(&self) -> &str {
        match self {
            Self::Running(run) => run.route(),
            Self::Offered(stored) => &stored.terms.route,
        }
    }

    /// Returns the context of its run here.
    pub(crate) fn context(&self) -> Option<&JobContext> {
        match self {
            Self::Running(run) => Some(run.context()),
            Self::Offered(_) => None,
        }
    }

    /// Notes that the acceptance is sent, so that a poll is expected. Returns the run.
    #[inline(always)]
    pub(crate) fn announced(mut self) -> Option<Run<R, E>> {
        tracing::debug!(handle = %self.handle(), route = self.route(), "job accepted");
        let node = match &mut self {
            Self::Running(run) => {
                run.announced();
                run.registration().node()
            }
            Self::Offered(stored) => {
                stored.unrun.may_be_stored = false;
                &stored.unrun.node
            }
        };
        node.meter.accepted();
        keep_house(node);
        match self {
            Self::Running(run) => Some(run),
            Self::Offered(_) => None,
        }
    }
}

/// A job that does not run, and was told to no client. If it may be stored when this is dropped, it is
/// discarded.
struct Unrun {
    node: Arc<Node>,
    lease: Lease,
    handle: JobHandle,
    may_be_stored: bool,
    /// Repeats of its request may find it, if leases end.
    has_key: bool,
}

impl Drop for Unrun {
    fn drop(&mut self) {
        if self.may_be_stored {
            discard_later(&self.node, self.lease, self.handle, self.has_key);
        }
    }
}

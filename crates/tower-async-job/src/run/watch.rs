//! The work beside the handler of a job: the deadline, cancellation, and writes to the store.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http_polling::JobState;
use tokio::time::{Instant, Sleep, sleep};
use tower_async_job_core::{
    Detail, Lease, Outcome, Release, Renewal, Start, StoreError, StoreFuture, Subscription,
};

use crate::{
    context::{job::JobContext, reason::CancelReason},
    node::{registration::Registration, renewal::renew, state::Node},
    observe::with_sources,
    run::{
        recording::{Kept, Unrecorded},
        restore::{Restorable, restore},
    },
    time::later,
};

/// The shortest time after which a failed write of a start or a report is repeated.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

/// The reason why the handler is not driven any further.
#[allow(
    clippy::large_enum_variant,
    reason = "it is moved once, at the end of a job; its size depends on the features of serde_json"
)]
pub(crate) enum End {
    /// With the resources that are held until it is stored.
    Outcome(Outcome, Option<Kept>),
    /// The handler releases the job on these terms.
    Released(Release),
    /// The response of an outside party was not recorded, and the party may deliver it again.
    Undelivered(Unrecorded),
    DeadlinePassed,
    /// The store refuses the lease, for a reason that is not known yet.
    Refused,
    Stopped(Stop),
}

/// The reason why a run ends without an outcome.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stop {
    /// Cancelled, as already stored.
    Cancelled,
    /// The lease is lost, or may be: nothing of the run is stored.
    LeaseLost,
    /// The job is released, such as by a shutdown.
    Abandoned,
}

pub(crate) struct Watch {
    /// The store still has the job as queued.
    queued: bool,
    cancelled: bool,
    /// `Some` once something has been written.
    writes: Option<Box<Writes>>,
}

/// Calls to the store, one at a time.
#[derive(Default)]
struct Writes {
    /// The call in flight.
    write: Option<(Write, StoreFuture<'static, Restored>)>,
    /// The latest call failed, which is logged.
    fails: bool,
    /// The store has refused a write, so the lease is renewed to learn its fate.
    refused: bool,
    /// The time until the next write is allowed, after the first.
    pause: Option<Pin<Box<Sleep>>>,
    /// The end of the job, if another node may cause it.
    ended: Option<Subscription>,
    /// It may have ended, so its record is read.
    looks: bool,
}

/// The lease of a job that was to be stored again, and the fate of that.
type Restored = Option<(Lease, Renewal)>;

/// A call to the store beside the handler.
#[derive(Clone, Copy)]
enum Write {
    Start,
    Report,
    /// The lease is renewed, to learn its fate.
    Renew,
    /// The job is read, since it may have ended.
    Look,
    /// The job is stored again, by a lease from then.
    Restore(Instant),
}

impl Write {
    /// Returns the warning that it failed.
    fn failure(self) -> &'static str {
        match self {
            Self::Start => "the start of a job was not stored",
            Self::Report => "a job's report was not stored",
            Self::Renew => "the lease of a job was not renewed",
            Self::Look => "a job that may have ended was not read",
            Self::Restore(_) => "a job that the store had lost was not stored again",
        }
    }
}

impl Watch {
    /// Creates the watch of a run. `ended` is the end of its job, if another node may cause it.
    pub(crate) fn new(queued: bool, ended: Option<Subscription>) -> Self {
        let writes = ended.map(|ended| Writes {
            ended: Some(ended),
            ..Writes::default()
        });
        Self {
            queued,
            cancelled: false,
            writes: writes.map(Box::new),
        }
    }

    pub(crate) fn is_writing(&self) -> bool {
        self.writes
            .as_ref()
            .is_some_and(|writes| writes.write.is_some())
    }

    /// Resolves when the handler must be dropped.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        job: &mut Registration,
        context: &JobContext,
        is_queued: bool,
        terms: Option<&Restorable>,
    ) -> Poll<End> {
        loop {
            match context.cancel_reason() {
                // Another node may run the job, so there is no grace.
                Some(CancelReason::LeaseLost) => {
                    return Poll::Ready(End::Stopped(Stop::LeaseLost));
                }
                Some(CancelReason::Shutdown) => {
                    return Poll::Ready(End::Stopped(Stop::Abandoned));
                }
                Some(_) if !self.cancelled => {
                    self.cancelled = true;
                    job.reschedule(later(job.node().config.cancellation_grace));
                }
                _ => {}
            }
            self.poll_writes(cx, job, context, is_queued, terms);
            if self.cancelled != context.is_cancelled() {
                continue;
            }
            let is_due = context.take_due() && job.is_due();
            return match (is_due, self.cancelled) {
                (true, false) => Poll::Ready(End::DeadlinePassed),
                (false, true) if !job.node().shutdown.given_up.is_set() => Poll::Pending,
                (_, true) => Poll::Ready(End::Stopped(Stop::Cancelled)),
                (false, false) => Poll::Pending,
            };
        }
    }

    /// Performs pending writes, as often as allowed.
    fn poll_writes(
        &mut self,
        cx: &mut Context<'_>,
        job: &mut Registration,
        context: &JobContext,
        is_queued: bool,
        terms: Option<&Restorable>,
    ) {
        loop {
            if let Some(writes) = &mut self.writes
                && let Some((kind, write)) = &mut writes.write
            {
                let Poll::Ready(written) = write.as_mut().poll(cx) else {
                    return;
                };
                let kind = *kind;
                writes.write = None;
                writes.fails &= written.is_err();
                match (written, kind) {
                    (Ok(Some((lease, Renewal::Held))), Write::Restore(sent)) => {
                        job.restored(lease, sent);
                        context.report_anew();
                    }
                    (Ok(Some((_, Renewal::Cancelled))), _) => {
                        job.node().registry.cancel(&job.lease().id);
                    }
                    (Ok(Some(_)), _) => context.cancel(CancelReason::LeaseLost),
                    (Ok(None), Write::Report) => context.report_written(),
                    (Ok(None), _) => {}
                    (Err(error), _) => self.not_written(kind, &error, job, context),
                }
            }
            if self.cancelled || context.is_cancelled() {
                return;
            }
            if let Some(writes) = &mut self.writes {
                let ended = writes.ended.as_mut();
                if ended.is_some_and(|ended| Pin::new(ended).poll(cx).is_ready()) {
                    writes.ended = None;
                    writes.looks = true;
                }
            }
            let writes = self.writes.as_deref();
            let (refused, looks) =
                writes.map_or((false, false), |writes| (writes.refused, writes.looks));
            let starts = self.queued && !is_queued;
            let missing = terms.filter(|_| context.is_missing());
            let is_quiet = missing.is_none() && !refused && !looks && !starts;
            if is_quiet && (self.queued || !context.has_report()) {
                return;
            }
            let writes = self.writes.get_or_insert_default();
            if let Some(pause) = &mut writes.pause {
                if pause.as_mut().poll(cx).is_pending() {
                    return;
                }
                writes.pause = None;
            }
            let (node, lease) = (Arc::clone(job.node()), *job.lease());
            if let Some(terms) = missing {
                writes.refused = false;
                let start = if self.queued {
                    Start::Queued
                } else {
                    Start::Running
                };
                let job = terms.anew(&lease, context, start);
                let sent = Instant::now();
                let restored = Box::pin(async move { restore(&node, job).await.map(Some) });
                writes.write = Some((Write::Restore(sent), restored));
                continue;
            }
            if refused {
                writes.refused = false;
                writes.pause = Some(Box::pin(sleep(WRITE_AGAIN)));
                let renewal = Box::pin(async move {
                    renew(&node, &[lease]).await?;
                    Ok(None)
                });
                writes.write = Some((Write::Renew, renewal));
                continue;
            }
            if looks {
                writes.looks = false;
                // Registered before the job is read, so that no end is missed.
                writes.ended = Some(node.store.subscribe(&lease.id));
                writes.pause = Some(Box::pin(sleep(WRITE_AGAIN)));
                writes.write = Some((Write::Look, Box::pin(look(node, lease))));
                continue;
            }
            if starts {
                self.queued = false;
                let start = Box::pin(async move {
                    node.store.start(&lease).await?;
                    Ok(None)
                });
                writes.write = Some((Write::Start, start));
                continue;
            }
            let Some(report) = context.take_report(job.node().config.report_limit) else {
                return;
            };
            writes.pause = Some(Box::pin(sleep(node.config.report_interval)));
            let report = Box::pin(async move {
                node.store.report(&lease, report).await?;
                Ok(None)
            });
            writes.write = Some((Write::Report, report));
        }
    }

    /// Repeats a write that failed, after a pause. If it was refused, asks for the fate of the
    /// lease instead.
    fn not_written(
        &mut self,
        kind: Write,
        error: &StoreError,
        job: &Registration,
        context: &JobContext,
    ) {
        let writes = self.writes.get_or_insert_default();
        let is_refused = error.is_lease_lost();
        if !is_refused {
            let handle = job.handle();
            // An outage is not logged again with each repetition.
            match mem::replace(&mut writes.fails, true) {
                false => {
                    tracing::warn!(error = with_sources(error), %handle, "{}", kind.failure());
                }
                true => {
                    tracing::debug!(error = with_sources(error), %handle, "{}", kind.failure());
                }
            }
            if !error.is_unavailable() && !matches!(kind, Write::Restore(_)) {
                if matches!(kind, Write::Report) {
                    context.report_refused(error.is_full());
                }
                return;
            }
            let interval = job.node().config.report_interval;
            writes.pause = Some(Box::pin(sleep(interval.max(WRITE_AGAIN))));
        }
        match kind {
            Write::Start => self.queued = true,
            Write::Report => context.report_again(),
            Write::Look => writes.looks = !is_refused,
            Write::Renew | Write::Restore(_) => {}
        }
        if is_refused || matches!(kind, Write::Renew) {
            if is_refused {
                writes.pause = None;
            }
            writes.refused = true;
        }
    }
}

/// Reads a job that may have ended. Fails if the lease is no longer that of the job.
async fn look(node: Arc<Node>, lease: Lease) -> Result<Restored, StoreError> {
    match node.read(&lease.id, Detail::Status).await? {
        Some(record) if record.state == JobState::Cancelled => {
            Ok(Some((lease, Renewal::Cancelled)))
        }
        Some(record) if record.state.is_pending() && record.epoch == lease.epoch => Ok(None),
        _ => Err(StoreError::lease_lost()),
    }
}

//! What goes on beside the handler of a job: the deadline, cancellation, and writes to the store.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Sleep, sleep};
use tower_async_job_core::{Outcome, StoreFuture};

use crate::{
    context::job::JobContext, node::registration::Registration, run::recording::Kept, time::later,
};

/// After how long a start or a report that the store did not take is tried again, at least.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

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

pub(crate) struct Watch {
    /// The store still has the job as queued.
    queued: bool,
    cancelled: bool,
    /// There once something has been written.
    writes: Option<Box<Writes>>,
}

/// Writes to the store, one at a time.
#[derive(Default)]
struct Writes {
    /// The one under way.
    write: Option<StoreFuture<'static, ()>>,
    /// That write is the job's start.
    starting: bool,
    /// Until the next write may take place, if there has been one.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Watch {
    pub(crate) fn new(queued: bool) -> Self {
        Self {
            queued,
            cancelled: false,
            writes: None,
        }
    }

    /// Whether a write is under way.
    pub(crate) fn is_writing(&self) -> bool {
        self.writes
            .as_ref()
            .is_some_and(|writes| writes.write.is_some())
    }

    /// Ready when the handler is to be given up.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        job: &mut Registration,
        context: &JobContext,
        is_queued: bool,
    ) -> Poll<End> {
        loop {
            if context.is_abandoned() {
                return Poll::Ready(End::Abandoned);
            }
            if !self.cancelled && context.is_cancelled() {
                self.cancelled = true;
                job.reschedule(later(job.node().config.cancellation_grace));
            }
            self.poll_writes(cx, job, context, is_queued);
            if self.cancelled != context.is_cancelled() {
                continue;
            }
            let is_due = context.take_due() && job.is_due();
            return match (is_due, self.cancelled) {
                (false, _) => Poll::Pending,
                (true, false) => Poll::Ready(End::DeadlinePassed),
                (true, true) => Poll::Ready(End::Cancelled),
            };
        }
    }

    /// Writes what there is to be written, as often as that may be.
    fn poll_writes(
        &mut self,
        cx: &mut Context<'_>,
        job: &Registration,
        context: &JobContext,
        is_queued: bool,
    ) {
        loop {
            if let Some(writes) = &mut self.writes
                && let Some(write) = &mut writes.write
            {
                let Poll::Ready(written) = write.as_mut().poll(cx) else {
                    return;
                };
                writes.write = None;
                let started = std::mem::take(&mut writes.starting);
                match written {
                    Ok(()) => {}
                    Err(error) if error.is_lease_lost() => context.cancel(),
                    Err(error) => {
                        let id = job.lease().id;
                        tracing::warn!(%error, job = ?id, "a job's report was not stored");
                        if error.is_unavailable() {
                            // What it said is said again, though not at once.
                            let interval = job.node().config.report_interval;
                            writes.pause = Some(Box::pin(sleep(interval.max(WRITE_AGAIN))));
                            if started {
                                self.queued = true;
                            } else {
                                context.report_again();
                            }
                        }
                    }
                }
            }
            if self.cancelled || context.is_cancelled() {
                return;
            }
            let starts = self.queued && !is_queued;
            if !starts && (self.queued || !context.has_report()) {
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
            if starts {
                self.queued = false;
                writes.starting = true;
                writes.write = Some(Box::pin(async move { node.store.start(&lease).await }));
                continue;
            }
            let Some(report) = context.take_report(job.node().config.report_limit) else {
                return;
            };
            writes.pause = Some(Box::pin(sleep(node.config.report_interval)));
            writes.write = Some(Box::pin(
                async move { node.store.report(&lease, report).await },
            ));
        }
    }
}

//! The context as the task that drives the handler uses it: cancellation, deadlines, and the reports
//! that are to be written.

use std::{mem, sync::atomic::Ordering, task::Context};

use http_polling::Progress;
use serde_json::Value;
use tower_async_job_core::{Json, Report};

use super::{job::JobContext, reason::CancelReason};

impl JobContext {
    /// Returns the context of a job that has reported before.
    pub(crate) fn continued(
        attempt: u32,
        progress: Option<Progress>,
        metadata: Option<Json>,
    ) -> Self {
        let context = Self::new(attempt);
        let mut outbox = context.outbox();
        let rare = outbox.rare.get_or_insert_default();
        rare.report().progress = progress;
        if let Some(Ok(Value::Object(metadata))) = metadata.map(|json| json.decode()) {
            rare.metadata = metadata;
        }
        drop(outbox);
        context
    }

    /// Cancels the job for a reason, or for another one.
    pub(crate) fn cancel(&self, reason: CancelReason) {
        self.inner.reason.fetch_max(reason.rank(), Ordering::AcqRel);
        let waiting = self.outbox().rare.as_mut().and_then(|rare| {
            if let Some(saves) = &rare.saves {
                saves.notify();
            }
            rare.waiting.take()
        });
        if let Some(waiting) = waiting {
            waiting.notify_waiters();
        }
        self.wake();
    }

    /// Notifies the driving task that the job's deadline may have passed.
    pub(crate) fn set_due(&self) {
        self.inner.due.store(true, Ordering::Release);
        self.wake();
    }

    /// Returns whether the deadline may have passed since the last call.
    pub(crate) fn take_due(&self) -> bool {
        // Read before it is swapped, which is cheaper and usually enough.
        self.inner.due.load(Ordering::Acquire) && self.inner.due.swap(false, Ordering::AcqRel)
    }

    /// Wakes the task that drives the handler.
    fn wake(&self) {
        let driver = self.outbox().driver.take();
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Notes that the store has lost the job's record, or has it again.
    pub(crate) fn set_missing(&self, missing: bool) {
        self.inner.missing.store(missing, Ordering::Release);
        self.wake();
    }

    pub(crate) fn is_missing(&self) -> bool {
        self.inner.missing.load(Ordering::Acquire)
    }

    /// Registers the driving task to be woken by the next report or the cancellation.
    pub(crate) fn register(&self, cx: &mut Context<'_>) {
        let mut outbox = self.outbox();
        match &mut outbox.driver {
            Some(driver) if driver.will_wake(cx.waker()) => {}
            driver => *driver = Some(cx.waker().clone()),
        }
    }

    /// Returns whether a report has not been written yet.
    pub(crate) fn has_report(&self) -> bool {
        let outbox = self.outbox();
        outbox.rare.as_ref().is_some_and(|rare| rare.changed)
    }

    /// Returns the report from before the request became a job, without parts over the limit.
    pub(crate) fn reported(&self, limit: usize) -> Option<Report> {
        self.outbox().rare.as_mut()?.report_within(limit)
    }

    /// Takes the report to be written, without parts over the limit, and the checkpoint if it is not
    /// saved. Progress and metadata also stay here, since the store replaces them as a whole: a later message keeps earlier numbers.
    pub(crate) fn take_report(&self, limit: usize) -> Option<Report> {
        let mut outbox = self.outbox();
        let rare = outbox.rare.as_mut()?;
        if !mem::take(&mut rare.changed) {
            return None;
        }
        let report = rare.report_within(limit);
        let checkpoint = rare.saves.as_mut().and_then(|saves| saves.take());
        if report.is_none() && checkpoint.is_none() {
            return None;
        }
        rare.taken = rare.taken.saturating_add(1);
        if let Some(report) = &mut rare.report {
            report.partial = None;
        }
        let mut taken = report.unwrap_or_default();
        taken.checkpoint = checkpoint;
        Some(taken)
    }

    /// Returns the number of reports taken.
    pub(crate) fn reports(&self) -> u64 {
        let outbox = self.outbox();
        outbox.rare.as_ref().map_or(0, |rare| rare.taken.into())
    }

    /// Marks the last report as unwritten, since it may not have reached the store. A partial
    /// result is not kept for that.
    pub(crate) fn report_again(&self) {
        if let Some(rare) = &mut self.outbox().rare {
            rare.changed = rare.report.is_some() || rare.is_unsaved();
        }
    }

    /// Marks all reports and the checkpoint as unwritten, since the record is a new one.
    pub(crate) fn report_anew(&self) {
        if let Some(saves) = self.outbox().saves() {
            saves.unsave();
        }
        self.report_again();
    }
}

//! The end of a run: the stored end of its job, or its release.

use std::mem;

use http_polling::JobState;
use tokio::sync::oneshot::Receiver;
use tower_async_job_core::{End, Outcome, Release, Released, Renewal, StoreError};

use crate::{
    context::{job::JobContext, reason::CancelReason},
    node::{patience::Patience, registration::Registration},
    observe::with_sources,
    run::{
        recording::{Size, Unrecorded},
        restore::{Restorable, fate},
        unkept,
        watch::Stop,
        write::{may_repeat, patience, write},
    },
};

/// The end of a run whose lease may belong to another holder.
pub(super) const LEASE_LOST: &str = "lease-lost";

const END: &str = "the end of a job";

const LAST_REPORT: &str = "a job's last report";

/// Stores the end of a job, with its last report. If the store has lost the record, it is stored
/// again, unless its result is in chunks there. Returns the outcome that is stored.
///
/// A result without room fails the job. If there is no room for that either, as on a full disk, both
/// are tried again. With `undelivered`, which gets the reason then, the run ends
/// without an outcome instead: the result is that of an outside party, which may deliver it again.
pub(crate) async fn finish(
    registration: &mut Registration,
    context: &JobContext,
    mut outcome: Outcome,
    terms: Option<&Restorable>,
    mut undelivered: Option<&mut Option<Unrecorded>>,
) -> Result<Outcome, Stop> {
    let node = registration.node().clone();
    let mut report = context.take_report(node.config.report_limit);
    let mut patience = patience(&node);
    let mut is_restored = false;
    // The result while the problem of a full store is tried instead, and else that problem.
    let mut other: Option<Outcome> = None;
    loop {
        let (lease, handle) = (*registration.lease(), registration.handle());
        let state = outcome.state();
        let size = Size::of_body(&outcome);
        let is_instead = size.is_none() && other.is_some();
        let stored = write(
            &mut patience,
            handle,
            END,
            |error| is_instead || size.is_some() && error.is_full(),
            || {
                let mut end = End::from(outcome.clone());
                end.report.clone_from(&report);
                node.store.finish(&lease, end)
            },
        );
        let Err(error) = stored.await else {
            tracing::debug!(%handle, %state, "job ended");
            return Ok(match is_instead {
                true => unkept::dropped(outcome, handle),
                false => outcome,
            });
        };
        if error.is_lease_lost() {
            if size.is_some()
                && let Some(problem) = other.take()
            {
                // It may be stored, by a call whose acknowledgement was lost.
                outcome = problem;
                continue;
            }
            let stop = refused(&mut patience, registration, context, terms).await;
            if *registration.lease() == lease || matches!(outcome, Outcome::Streamed { .. }) {
                return Err(stop);
            }
            // The store may lose it whenever it is stored again.
            if mem::replace(&mut is_restored, true) {
                if !patience.lasts() {
                    return Err(stop);
                }
                patience.pause().await;
            }
            context.report_again();
            report = context.take_report(node.config.report_limit);
            continue;
        }
        if is_instead && may_repeat(&mut patience, handle, END, &error).await {
            other = other.map(|result| mem::replace(&mut outcome, result));
            continue;
        }
        let problem = match (size, &mut undelivered) {
            (Some(size), None) if error.is_full() => unkept::no_room(size, &error),
            (Some(size), Some(undelivered)) if error.is_full() => {
                **undelivered = Some(Unrecorded::NoRoom(size, error));
                return Err(Stop::Abandoned);
            }
            _ => return Err(Stop::Abandoned),
        };
        other = Some(mem::replace(&mut outcome, problem));
    }
}

/// Learns why the store refuses a lease. If the record is missing, it is stored again.
pub(crate) async fn refused(
    patience: &mut Patience<'_>,
    registration: &mut Registration,
    context: &JobContext,
    terms: Option<&Restorable>,
) -> Stop {
    if context.cancel_reason() == Some(CancelReason::Requested) {
        return Stop::Cancelled;
    }
    let (stop, reason) = match fate(registration, context, terms, patience).await {
        Some(Renewal::Cancelled) => (Stop::Cancelled, CancelReason::Requested),
        Some(Renewal::Lost) => (Stop::LeaseLost, CancelReason::LeaseLost),
        // A lease that is held is released, and so is one whose fate is not known.
        _ => return Stop::Abandoned,
    };
    context.cancel(reason);
    stop
}

/// Ends a run without an outcome. Returns the state of its job, as far as it is known.
pub(crate) async fn stop(registration: Registration, stop: Stop) -> Option<&'static str> {
    match stop {
        Stop::Cancelled => {
            let meter = registration.node().meter.clone();
            registration.end();
            meter.stopped(JobState::Cancelled.as_str());
            Some(JobState::Cancelled.as_str())
        }
        Stop::LeaseLost => {
            let handle = registration.handle();
            tracing::warn!(%handle, "a run was stopped, since its lease is lost");
            let meter = registration.node().meter.clone();
            registration.end();
            meter.stopped(LEASE_LOST);
            Some(LEASE_LOST)
        }
        Stop::Abandoned => {
            let how = registration.terms_of_release();
            state_of(registration.release(how)).await
        }
    }
}

/// Releases a job to the store on the terms of its handler, with its last report. If the store has lost
/// the record, it is stored again. Returns the state of the job, as far as it is known.
pub(crate) async fn release(
    registration: Registration,
    context: &JobContext,
    how: Release,
    terms: Option<&Restorable>,
) -> Option<&'static str> {
    let (node, time) = (registration.node().clone(), how.outside.map(|it| it.until));
    let mut releasing = Releasing(Some((registration, how)));
    if let Some((registration, _)) = &mut releasing.0 {
        report_last(registration, context, terms).await;
    }
    let state = state_of(releasing.begin()).await;
    if let Some(time) = time {
        node.alarm.within(time);
    }
    match context.cancel_reason() {
        // The store has refused the lease of a job that was cancelled.
        Some(CancelReason::Requested) if state == Some(LEASE_LOST) => {
            Some(JobState::Cancelled.as_str())
        }
        _ => state,
    }
}

/// Writes the last report of a run that is released. If the store has lost the record, it is stored
/// again.
async fn report_last(
    registration: &mut Registration,
    context: &JobContext,
    terms: Option<&Restorable>,
) {
    let node = registration.node().clone();
    let mut patience = patience(&node);
    let limit = node.config.report_limit;
    // Without a report, only a renewal tells that the record is missing.
    let mut is_asked = context.is_missing() || !context.has_report();
    loop {
        if is_asked && terms.is_some() {
            let lease = *registration.lease();
            fate(registration, context, terms, &mut patience).await;
            if *registration.lease() != lease {
                context.report_anew();
            }
        }
        let Some(report) = context.take_report(limit) else {
            return;
        };
        let lease = *registration.lease();
        let written = write(
            &mut patience,
            registration.handle(),
            LAST_REPORT,
            StoreError::is_full,
            || node.store.report(&lease, report.clone()),
        );
        match written.await {
            Ok(()) => return,
            Err(error) if error.is_lease_lost() && !is_asked => is_asked = true,
            Err(error) => {
                let handle = registration.handle();
                tracing::warn!(error = with_sources(&error), %handle, "{LAST_REPORT} was not stored");
                return;
            }
        }
    }
}

/// A release that takes place even if it is dropped before.
struct Releasing(Option<(Registration, Release)>);

impl Releasing {
    fn begin(&mut self) -> Option<Receiver<Released>> {
        let (registration, how) = self.0.take()?;
        registration.release(how)
    }
}

impl Drop for Releasing {
    fn drop(&mut self) {
        let _ = self.begin();
    }
}

/// Returns the state of a released job, or that its lease was lost; `None` if that stays unknown.
async fn state_of(released: Option<Receiver<Released>>) -> Option<&'static str> {
    let released = released?.await.ok()?;
    Some(match released {
        Released::Queued => JobState::Queued.as_str(),
        Released::Outside => JobState::Running.as_str(),
        Released::Ended(state) => state.as_str(),
        _ => LEASE_LOST,
    })
}

//! Changes in the name of a lease, and by clients.

use std::time::Duration;

use tower_async_job_core::{Cancellation, End, JobId, Lease, Renewal, Report, StoreError};

use crate::{
    job::{Job, State},
    notes::Delivery,
    time::{micros, to_day},
    transaction::{Failure, Snapshot, Step, Transaction},
};

pub(crate) fn start(transaction: &Transaction<'_>, lease: &Lease) -> Step<()> {
    Job::find_held(transaction, lease)?.edit(transaction, |job| {
        job.start(transaction);
        Ok(())
    })
}

/// Prolongs leases. One whose job cannot be read is lost, and costs the others nothing.
pub(crate) fn renew(transaction: &Transaction<'_>, leases: &[Lease]) -> Step<Vec<Renewal>> {
    let until = transaction.now.saturating_add(transaction.lease);
    let renew = |lease: &Lease| {
        if Job::renew(transaction, lease, until)? {
            return Ok(Renewal::Held);
        }
        match Job::find(transaction, &lease.id) {
            Ok(job) => Ok(not_held(job.as_ref(), transaction)),
            Err(Failure::Refused(_)) => Ok(Renewal::Lost),
            Err(failure) => Err(failure),
        }
    };
    leases.iter().map(renew).collect()
}

/// Returns the fate of a lease that is not held.
pub(super) fn not_held(job: Option<&Job>, snapshot: &Snapshot<'_>) -> Renewal {
    match job {
        Some(job) if job.state == State::Cancelled => Renewal::Cancelled,
        Some(job) if job.state == State::Void && job.due <= snapshot.now => Renewal::Missing,
        Some(_) => Renewal::Lost,
        None => Renewal::Missing,
    }
}

pub(crate) fn report(transaction: &Transaction<'_>, lease: &Lease, report: &Report) -> Step<()> {
    let job = Job::find_held(transaction, lease)?;
    job.edit(transaction, |job| job.report(transaction, report))
}

pub(crate) fn write_chunk(
    transaction: &Transaction<'_>,
    lease: &Lease,
    number: u32,
    data: &[u8],
) -> Step<()> {
    Job::find_held(transaction, lease)?.write_chunk(transaction, number, data)
}

pub(crate) fn finish(transaction: &Transaction<'_>, lease: &Lease, end: &End) -> Step<()> {
    let job = Job::find(transaction, &lease.id)?;
    match job {
        Some(job) if job.is_held_by(lease) => {
            job.edit(transaction, |job| job.finish(transaction, end))
        }
        Some(job) if repeats(&job, lease, end) => Ok(()),
        _ => Err(StoreError::lease_lost().into()),
    }
}

/// Returns whether this lease ended the job with an outcome of the same state.
fn repeats(job: &Job, lease: &Lease, end: &End) -> bool {
    job.has_epoch(lease)
        && job.state.is_kept_end()
        && job.state.shown() == Some(end.outcome.state())
}

pub(crate) fn cancel(transaction: &Transaction<'_>, id: &JobId) -> Step<Cancellation> {
    let job = Job::find(transaction, id)?;
    let Some((job, state)) = with_state(transaction, job) else {
        return Ok(Cancellation::Unknown);
    };
    if state.is_final() {
        return Ok(Cancellation::Ended(state));
    }
    job.edit(transaction, |job| {
        job.revoke(transaction, State::Cancelled, None)?;
        let ended = to_day(job.day_of(transaction.now));
        Ok(Cancellation::Cancelled { ended })
    })
}

pub(crate) fn remove(transaction: &Transaction<'_>, id: &JobId) -> Step<bool> {
    let now = transaction.now;
    let job = Job::find(transaction, id)?;
    let Some((job, _)) = with_state(transaction, job).filter(|(_, state)| state.is_final()) else {
        return Ok(false);
    };
    job.edit(transaction, |job| {
        if job.is_wanted(now) {
            // Otherwise a repeat would run the work again, or the end would not be notified.
            job.drop_result();
        } else {
            // Its run may still be alive, and must not consider the job missing.
            job.become_void(transaction, now.saturating_add(transaction.lease))?;
        }
        Ok(true)
    })
}

pub(crate) fn extend(transaction: &Transaction<'_>, id: &JobId, keep: Duration) -> Step<bool> {
    let now = transaction.now;
    match Job::find(transaction, id)? {
        Some(job) if job.state.is_kept_end() && now < job.due => job.edit(transaction, |job| {
            job.due = job.due.max(now.saturating_add(micros(keep)));
            Ok(true)
        }),
        _ => Ok(false),
    }
}

/// Notes that the result of a job was delivered.
pub(crate) fn deliver(transaction: &Transaction<'_>, id: &JobId, delivery: &Delivery) -> Step<()> {
    match Job::find(transaction, id)? {
        Some(job) => job.edit(transaction, |job| {
            job.deliver(delivery);
            Ok(())
        }),
        None => Ok(()),
    }
}

/// Returns a job that is known, with its state now.
fn with_state(snapshot: &Snapshot<'_>, job: Option<Job>) -> Option<(Job, http_polling::JobState)> {
    let job = job?;
    let state = job.state_at(snapshot.now)?;
    Some((job, state))
}

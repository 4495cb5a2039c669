//! Cancellation, and the deletion of results.

use http_polling::{IDEMPOTENCY_KEY, JobState};

use super::job::is_in;
use crate::check::{
    evidence::Evidence,
    record::Exchange,
    step::{Moment, Step, Way},
    verdict::{Judged, not_applicable},
};

/// Returns whether the server does not offer DELETE.
fn is_refused(exchange: &Exchange) -> bool {
    matches!(exchange.answer.status.as_u16(), 405 | 501)
}

/// 2.7
pub(in crate::check) fn delete(evidence: &Evidence) -> Judged {
    let cancelled = evidence.look(Step::Cancelled)?;
    if is_refused(cancelled) {
        return Err(not_applicable("the server does not offer DELETE"));
    }
    let job = evidence.look(Step::CancelledJob)?;
    let was_cancelled = is_in(job, JobState::Cancelled);
    if cancelled.answer.status == 204 && !was_cancelled {
        return Err(not_applicable(
            "the job ended before it was cancelled: a slower one is needed",
        ));
    }
    cancelled.must_be(202)?;
    job.must(
        was_cancelled,
        "Job-Status: cancelled after the DELETE",
        job.answer.summary(),
    )?;
    evidence.look(Step::CancelledDropped)?.must_be(204)?;
    gone(evidence.look(Step::CancelledGone)?, false)?;
    if let Ok(key) = evidence.look(Step::KeyGone)
        && evidence
            .look(Step::KeyDropped)
            .is_ok_and(|dropped| dropped.answer.status == 204)
    {
        key.must(
            is_in(key, JobState::Expired),
            "Job-Status: expired after the DELETE of a job with an idempotency key",
            key.answer.summary(),
        )?;
    }
    let (Ok(deleted), Ok(after)) = (
        evidence.look(Step::Deleted),
        evidence.look(Step::AfterDelete),
    ) else {
        return Ok(());
    };
    if is_in(deleted, JobState::Unknown) && was_deleted_by_a_stranger(evidence) {
        return Ok(());
    }
    deleted.must_be(204)?;
    let submitted = evidence.look(Step::Submitted)?;
    gone(after, submitted.sent.headers.contains_key(IDEMPOTENCY_KEY))
}

/// Returns whether another principal has deleted the job, which is a breach of 2.13 alone.
fn was_deleted_by_a_stranger(evidence: &Evidence) -> bool {
    evidence
        .look(Step::Stranger(Moment::Ended, Way::Delete))
        .is_ok_and(|exchange| exchange.answer.status.is_success())
}

fn gone(exchange: &Exchange, is_keyed: bool) -> Judged {
    exchange.must(
        is_in(exchange, JobState::Unknown) || (is_keyed && is_in(exchange, JobState::Expired)),
        "Job-Status: unknown after the DELETE of an ended job",
        exchange.answer.summary(),
    )
}

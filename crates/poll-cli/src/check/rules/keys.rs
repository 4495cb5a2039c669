//! Idempotency keys.

use http::{StatusCode, Uri};

use crate::check::{
    evidence::Evidence,
    location::id,
    record::Exchange,
    step::Step,
    verdict::{Judged, not_applicable},
};

/// Returns the id of the job that a submission was answered with.
fn job(exchange: &Exchange) -> Option<String> {
    let location: Uri = exchange
        .location()
        .filter(|_| exchange.answer.is_pending())?;
    Some(id(&location).to_owned())
}

/// 1.10
pub(in crate::check) fn keys(evidence: &Evidence) -> Judged {
    let submitted = evidence.look(Step::KeySubmitted)?;
    let repeated = evidence.look(Step::KeyRepeated)?;
    let malformed = evidence.look(Step::KeyMalformed)?;
    let refuses = malformed.answer.status == StatusCode::BAD_REQUEST;
    let same = job(repeated).is_some() && job(repeated) == job(submitted);
    if !same && !refuses {
        return Err(not_applicable("the server ignores idempotency keys"));
    }
    if repeated.answer.is_pending() {
        repeated.must(
            same,
            "the same job for the same request with the same key",
            "another job",
        )?;
        repeated.must(
            repeated.answer.status == submitted.answer.status,
            format!(
                "{}, the form of the first answer",
                submitted.answer.status.as_u16()
            ),
            repeated.answer.summary(),
        )?;
    }
    malformed.must_be(400)?;
    evidence.look(Step::KeyChanged)?.must_be(422)
}

/// 2.16
pub(in crate::check) fn key_after_deletion(evidence: &Evidence) -> Judged {
    let dropped = evidence.look(Step::KeyDropped)?;
    let repeated = evidence.look(Step::KeyRepeatedAfter)?;
    if dropped.answer.status != StatusCode::NO_CONTENT {
        return Err(not_applicable(
            "the result of a job with a key was not deleted",
        ));
    }
    repeated.must_be(410)
}

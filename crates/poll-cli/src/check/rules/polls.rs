//! Polls of a pending job.

use std::time::Duration;

use http::{StatusCode, header::ALLOW};
use http_polling::{JOB_STATUS, JobState, PREFERENCE_APPLIED, RETRY_AFTER_MS};

use super::submission::granted;
use crate::check::{
    evidence::Evidence,
    location::hint,
    record::Exchange,
    step::Step,
    verdict::{Judged, Verdict, not_applicable},
};

/// The time by which the clocks of client and server may differ during a delay.
const TOLERANCE: Duration = Duration::from_millis(50);

/// Returns an exchange during which the job was pending.
fn pending(evidence: &Evidence, step: Step) -> Option<&Exchange> {
    let exchange = evidence.look(step).ok()?;
    let later = evidence.look(Step::Options).is_ok();
    (later && exchange.answer.state() != Some(JobState::Done)).then_some(exchange)
}

/// 2.5
pub(in crate::check) fn head_and_conditions(evidence: &Evidence) -> Judged {
    let polled = evidence.look(Step::Pending)?;
    let mut looked = false;
    if polled.answer.is_pending() {
        if let Some(head) = pending(evidence, Step::PendingHead) {
            same_head(head, polled)?;
            looked = true;
        }
        for step in [Step::PendingConditional, Step::PendingRange] {
            if let Some(exchange) = pending(evidence, step) {
                let answer = &exchange.answer;
                exchange.must(
                    answer.status == polled.answer.status,
                    format!(
                        "{}, as without the condition",
                        polled.answer.status.as_u16()
                    ),
                    answer.summary(),
                )?;
                looked = true;
            }
        }
    }
    if let (Ok(head), Ok(done)) = (evidence.look(Step::DoneHead), evidence.look(Step::Done))
        && head.answer.state() == Some(JobState::Done)
    {
        if done.answer.state() == Some(JobState::Done) {
            same_head(head, done)?;
        } else {
            done.must(
                false,
                "the result after a HEAD, which consumes nothing",
                done.answer.summary(),
            )?;
        }
        looked = true;
    }
    match looked {
        true => Ok(()),
        false => Err(not_applicable(
            "the job ended too soon: a slower request is needed",
        )),
    }
}

fn same_head(head: &Exchange, got: &Exchange) -> Judged {
    head.must(
        head.answer.status == got.answer.status
            && head.answer.field("job-status") == got.answer.field("job-status")
            || changed_state(head, got),
        format!("{}, as for GET", got.answer.summary()),
        head.answer.summary(),
    )?;
    let media = (head.answer.media_type(), got.answer.media_type());
    let expected = format!("Content-Type: {}, as for GET", media.1);
    head.must(media.0 == media.1 || media.0.is_empty(), expected, media.0)
}

/// Returns whether the two answers differ because the job has begun to run in between.
fn changed_state(one: &Exchange, other: &Exchange) -> bool {
    one.answer.status == other.answer.status && one.answer.is_pending() && other.answer.is_pending()
}

/// 2.11
pub(in crate::check) fn held(evidence: &Evidence) -> Judged {
    let held = evidence.look(Step::Held);
    if let Some(past) = evidence.held_past_the_end {
        let polled = evidence.look(Step::Polled)?;
        return polled.should(
            false,
            "the held poll to be answered when the job ends",
            format!("no answer for {} s after the end", past.as_secs()),
        );
    }
    let held = held?;
    if held.answer.has(PREFERENCE_APPLIED) {
        let asked = held
            .sent
            .headers
            .get("prefer")
            .and_then(|value| value.to_str().ok());
        let asked = asked.and_then(|text| text.strip_prefix("wait=")?.parse().ok());
        return granted(held, asked.unwrap_or(u64::MAX));
    }
    if held.answer.is_pending() && held.took < Duration::from_secs(1) {
        return Err(not_applicable("the server does not hold polls"));
    }
    held.must(
        !held.answer.is_pending(),
        "Preference-Applied with the time for which the poll was held",
        "none",
    )
}

/// 2.12
pub(in crate::check) fn early(evidence: &Evidence) -> Judged {
    let submitted = evidence.look(Step::CancelSubmitted)?;
    let early = evidence.look(Step::Early)?;
    let millis = submitted
        .answer
        .field(RETRY_AFTER_MS)
        .and_then(|text| text.parse().ok());
    let is_hinted = hint(&early.sent.uri, "due").is_some();
    let (Some(millis), true) = (millis, is_hinted) else {
        return Err(not_applicable(
            "the server does not say when the poll is due",
        ));
    };
    let delay = Duration::from_millis(millis);
    let took = format!(
        "{} after {} ms",
        early.answer.summary(),
        early.took.as_millis()
    );
    // The job was accepted after the submission was sent, so that it is due after this time.
    let answered = (early.began + early.took).duration_since(submitted.began);
    if submitted.answer.status == StatusCode::ACCEPTED {
        let usual = evidence
            .look(Step::PendingStatus)
            .map_or(delay, |exchange| exchange.took);
        let is_held = answered >= delay && early.took > delay / 2 && early.took > 5 * usual;
        let is_pending = early.answer.is_pending();
        return early.should(
            !(is_pending && is_held),
            "an early poll answered immediately",
            took,
        );
    }
    if early.answer.status == StatusCode::TOO_MANY_REQUESTS {
        let told = early.answer.has("retry-after") && early.answer.has(JOB_STATUS);
        return early.must(
            told,
            "429 with Retry-After and Job-Status",
            early.answer.summary(),
        );
    }
    let was_held = answered + TOLERANCE >= delay || early.took >= Duration::from_secs(1);
    let holds_none = matches!(held(evidence), Err(Verdict::NotApplicable(_)));
    if early.answer.is_pending() && !was_held && holds_none {
        return Err(not_applicable("the server does not hold polls"));
    }
    early.should(
        !early.answer.is_pending() || was_held,
        format!("an early poll held until it is due, in {millis} ms, or 429"),
        took,
    )
}

/// 2.8
pub(in crate::check) fn methods(evidence: &Evidence) -> Judged {
    let other = evidence.look(Step::OtherMethod)?;
    other.must_be(405)?;
    other.must(other.answer.has(ALLOW), "Allow with 405", "none")?;
    let options = evidence.look(Step::Options)?;
    options.should(
        options.answer.status == StatusCode::NO_CONTENT && options.answer.has(ALLOW),
        "204 with Allow",
        options.answer.summary(),
    )
}

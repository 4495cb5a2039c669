//! Requests that are never deferred, and deadlines of clients.

use http::StatusCode;
use http_polling::JobState;

use crate::check::{
    evidence::Evidence,
    step::Step,
    verdict::{Judged, Verdict, not_applicable},
};

/// 1.8
pub(in crate::check) fn never_deferred(evidence: &Evidence) -> Judged {
    let mut looked = Err(not_applicable("no such request was sent"));
    for step in [Step::TargetOptions, Step::TargetHead, Step::EventStream] {
        match evidence.look(step) {
            Ok(exchange) => {
                let answer = &exchange.answer;
                let expected = "an answer that is not deferred";
                exchange.must(!answer.is_pending(), expected, answer.summary())?;
                looked = Ok(());
            }
            // The answer is awaited for longer than the server takes to defer a request.
            Err(_) if evidence.is_unanswered(step) => looked = Ok(()),
            Err(Verdict::Timeout(reason)) if looked.is_err() => {
                looked = Err(Verdict::Timeout(reason));
            }
            Err(_) => {}
        }
    }
    looked
}

/// 1.11
pub(in crate::check) fn deadline(evidence: &Evidence) -> Judged {
    let malformed = evidence.look(Step::DeadlineMalformed)?;
    if malformed.answer.status != StatusCode::BAD_REQUEST {
        return Err(not_applicable("the server ignores Cancel-After"));
    }
    let ended = evidence.look(Step::DeadlineEnded)?;
    if ended.answer.state() == Some(JobState::Done) {
        return Err(not_applicable("the job was done before its deadline"));
    }
    ended.must(
        ended.answer.state() == Some(JobState::TimedOut),
        "Job-Status: timed-out after Cancel-After: 100ms",
        ended.answer.summary(),
    )
}

//! The answers of the job resource.

use http::{Method, StatusCode, header::CACHE_CONTROL};
use http_polling::{JOB_STATUS, JobState, RETRY_AFTER_MS};

use crate::check::{
    evidence::Evidence,
    record::Exchange,
    step::{Step, Way},
    verdict::{Judged, not_applicable},
};

/// Returns whether an answer may come from a proxy or another layer before the job resource.
fn may_be_of_others(exchange: &Exchange) -> bool {
    let of_others = matches!(exchange.step, Step::OtherHost | Step::Preflight);
    let status = exchange.answer.status.as_u16();
    of_others
        || matches!(status, 400..=403 | 414 | 421 | 429 | 431 | 502..=504)
            && exchange.answer.state().is_none()
}

/// Returns whether the request is a poll of the job itself, without conditions.
fn is_poll(exchange: &Exchange) -> bool {
    let is_conditional = matches!(exchange.step, Step::PendingConditional | Step::PendingRange);
    let is_get = exchange.sent.method == Method::GET;
    is_get && !is_conditional && !exchange.sent.uri.path().ends_with("/status")
}

/// 2.1
pub(in crate::check) fn fields(evidence: &Evidence) -> Judged {
    evidence.look(Step::Pending)?;
    for exchange in evidence
        .of_jobs()
        .filter(|exchange| !may_be_of_others(exchange))
    {
        let answer = &exchange.answer;
        exchange.must(
            answer.lists(CACHE_CONTROL, "no-store"),
            "Cache-Control: no-store",
            answer.field(CACHE_CONTROL).unwrap_or("none"),
        )?;
        // After 204, there is no job whose state could be told.
        let is_about_a_job = matches!(
            exchange.sent.method,
            Method::GET | Method::HEAD | Method::DELETE
        );
        exchange.must(
            !is_about_a_job
                || answer.has(JOB_STATUS)
                || matches!(answer.status.as_u16(), 204 | 405),
            "Job-Status",
            format!("{} without it", answer.status.as_u16()),
        )?;
    }
    Ok(())
}

/// 2.2
pub(in crate::check) fn states(evidence: &Evidence) -> Judged {
    evidence.look(Step::Pending)?;
    for exchange in evidence.of_jobs().filter(|exchange| is_poll(exchange)) {
        let answer = &exchange.answer;
        let Some(state) = answer.state() else {
            continue;
        };
        let is_too_early = answer.status == StatusCode::TOO_MANY_REQUESTS;
        if state.is_pending() {
            let is_html = answer.media_type() == "text/html";
            let is_page = is_html && answer.status == StatusCode::OK;
            let status = answer.status.as_u16();
            exchange.must(
                matches!(status, 202 | 303) || is_page || is_too_early,
                "the pending answer again: 303 or 202",
                answer.summary(),
            )?;
            for name in ["location", "retry-after"] {
                exchange.must(
                    answer.has(name) || is_too_early,
                    format!("the pending answer again, with {name}"),
                    "none",
                )?;
            }
            continue;
        }
        let expected = match state {
            JobState::Failed | JobState::Lost => 500,
            JobState::TimedOut => 504,
            JobState::Cancelled | JobState::Expired => 410,
            JobState::Unknown => 404,
            _ => continue,
        };
        exchange.must_be(expected)?;
    }
    Ok(())
}

/// 2.6
pub(in crate::check) fn status_document(evidence: &Evidence) -> Judged {
    let pending = evidence.look(Step::PendingStatus)?;
    let is_absent =
        pending.answer.status == StatusCode::NOT_FOUND && !pending.answer.has(JOB_STATUS);
    if is_absent || pending.answer.status == StatusCode::METHOD_NOT_ALLOWED {
        return Err(not_applicable("the server has no status resource"));
    }
    let is_pending = pending.answer.state().is_some_and(JobState::is_pending);
    pending.must(
        pending.answer.has("retry-after") || !is_pending,
        "Retry-After with the status of a pending job",
        "none",
    )?;
    pending.should(
        pending.answer.has(RETRY_AFTER_MS) || !is_pending,
        "retry-after-ms with the status of a pending job",
        "none",
    )?;
    for step in [Step::PendingStatus, Step::DoneStatus, Step::CancelledStatus] {
        let Ok(exchange) = evidence.look(step) else {
            continue;
        };
        let is_document = exchange
            .answer
            .json()
            .is_some_and(|document| document.is_object());
        exchange.should(
            exchange.answer.status == StatusCode::OK && is_document,
            "200 and the status document",
            exchange.answer.summary(),
        )?;
    }
    Ok(())
}

/// Returns whether the answer says that the job is in this state, by `Job-Status` or, without it,
/// by the status code.
pub(super) fn is_in(exchange: &Exchange, state: JobState) -> bool {
    match exchange.answer.state() {
        Some(told) => told == state,
        None => match state {
            JobState::Unknown => exchange.answer.status == StatusCode::NOT_FOUND,
            JobState::Cancelled | JobState::Expired => exchange.answer.status == StatusCode::GONE,
            _ => false,
        },
    }
}

/// Returns whether this is the answer to a stranger.
pub(super) fn is_strangers(step: Step) -> bool {
    matches!(step, Step::Stranger(..) | Step::StrangerUnknown(..))
}

/// Returns whether the answer to this way of asking has a body.
pub(super) fn has_body(way: Way) -> bool {
    way != Way::Head
}

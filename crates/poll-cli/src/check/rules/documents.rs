//! Status documents and problems.

use http::Method;
use http_polling::{JOB_STATUS, JobState, ProblemType, RETRY_AFTER_MS, is_problem_json};
use serde_json::Value;

use super::job::is_strangers;
use crate::check::{
    evidence::Evidence,
    record::Exchange,
    step::Step,
    verdict::{Judged, Verdict},
};

/// 3.1
pub(in crate::check) fn status_documents(evidence: &Evidence) -> Judged {
    evidence.look(Step::Submitted)?;
    for exchange in evidence.all() {
        let answer = &exchange.answer;
        let is_status = exchange.step.is_status() && answer.status == 200;
        let is_pending = answer.is_pending() && answer.media_type() == "application/json";
        if !(is_status || is_pending) {
            continue;
        }
        let Some(document) = answer.json().filter(Value::is_object) else {
            continue;
        };
        exchange.must(
            answer.media_type() == "application/json",
            "application/json",
            answer.media_type(),
        )?;
        for (name, expected, is_right) in MEMBERS {
            if let Some(value) = document.get(name) {
                let got = format!("`{name}`: {value}");
                exchange.must(is_right(value), format!("`{name}` as {expected}"), got)?;
            }
        }
        for (name, field) in [("state", JOB_STATUS), ("retry_after_ms", RETRY_AFTER_MS)] {
            if let (Some(value), Some(told)) = (document.get(name), answer.field(&field)) {
                let text = value.as_str().map_or(value.to_string(), str::to_owned);
                exchange.must(
                    text == told,
                    format!("`{name}`: {told}, as in {field}"),
                    text,
                )?;
            }
        }
        for name in ["id", "state"] {
            let expected = format!("the member `{name}`");
            exchange.must(document.get(name).is_some(), expected, "none")?;
        }
    }
    for exchange in evidence.all().filter(|exchange| exchange.step.is_status()) {
        let Some(state) = exchange
            .answer
            .state()
            .filter(|_| exchange.answer.status == 200)
        else {
            continue;
        };
        let document = exchange.answer.json().unwrap_or_default();
        let of_the_end = state.is_final().then_some("ended");
        for name in ["created", "attempt"].into_iter().chain(of_the_end) {
            let expected = format!("the member `{name}`");
            exchange.should(document.get(name).is_some(), expected, "none")?;
        }
    }
    Ok(())
}

/// A member's name, its form in words, and the test for it.
type Member = (&'static str, &'static str, fn(&Value) -> bool);

const MEMBERS: [Member; 9] = [
    ("id", "a string", Value::is_string),
    ("state", "a known state", |value| {
        value
            .as_str()
            .is_some_and(|text| text.parse::<JobState>().is_ok())
    }),
    ("created", "a time of RFC 3339 in UTC", is_time),
    ("started", "a time of RFC 3339 in UTC", is_time),
    ("ended", "a time of RFC 3339 in UTC", is_time),
    ("attempt", "a number from 0", Value::is_u64),
    ("metadata", "an object", Value::is_object),
    ("retry_after_ms", "a number of milliseconds", Value::is_u64),
    (
        "progress",
        "`fraction` from 0 to 1, `done`, `total`, `message`",
        is_progress,
    ),
];

fn is_time(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default().replace("+00:00", "Z");
    text.ends_with('Z') && humantime::parse_rfc3339(&text).is_ok()
}

fn is_progress(value: &Value) -> bool {
    let fits = |name: &str, is_right: fn(&Value) -> bool| value.get(name).is_none_or(is_right);
    value.is_object()
        && fits("fraction", |value| {
            value
                .as_f64()
                .is_some_and(|part| (0.0..=1.0).contains(&part))
        })
        && fits("done", Value::is_u64)
        && fits("total", Value::is_u64)
        && fits("message", Value::is_string)
}

/// 3.2
pub(in crate::check) fn problems(evidence: &Evidence) -> Judged {
    let mut looked = false;
    for exchange in evidence.of_jobs() {
        let Some(state) = exchange.answer.state().filter(|state| is_bad_end(*state)) else {
            continue;
        };
        let is_read =
            exchange.sent.method == Method::GET && !exchange.sent.uri.path().ends_with("/status");
        if is_read && !is_strangers(exchange.step) {
            problem(exchange, state)?;
            looked = true;
        }
    }
    match looked {
        true => Ok(()),
        false => Err(Verdict::NotApplicable("no answer was a problem".to_owned())),
    }
}

fn is_bad_end(state: JobState) -> bool {
    state.is_final() && state != JobState::Done
}

fn problem(exchange: &Exchange, state: JobState) -> Judged {
    let answer = &exchange.answer;
    exchange.must(
        is_problem_json(&answer.headers),
        "application/problem+json",
        answer.media_type(),
    )?;
    let document = answer.json().unwrap_or_default();
    let kind = document
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or("none");
    let expected = match state {
        JobState::TimedOut => Some(ProblemType::JobTimedOut),
        JobState::Lost => Some(ProblemType::JobLost),
        JobState::Cancelled => Some(ProblemType::JobCancelled),
        JobState::Expired => Some(ProblemType::JobExpired),
        JobState::Unknown => Some(ProblemType::JobUnknown),
        // A job fails for several reasons.
        _ => None,
    };
    let got = ProblemType::from_uri(kind);
    exchange.should(
        got.is_some() && (expected.is_none() || got == expected),
        format!(
            "the type {}",
            expected.map_or("of a problem", ProblemType::uri)
        ),
        kind,
    )
}

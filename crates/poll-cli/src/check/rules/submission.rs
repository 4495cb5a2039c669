//! The acceptance of a job.

use std::time::Duration;

use http::{StatusCode, Uri};
use http_polling::{JOB_STATUS, PREFERENCE_APPLIED, PreferenceApplied, RETRY_AFTER_MS};

use crate::check::{
    evidence::Evidence,
    location::{OTHER_HOST, hint, id},
    record::Exchange,
    step::Step,
    verdict::{Judged, not_applicable},
};

/// 1.1
pub(in crate::check) fn inline(evidence: &Evidence) -> Judged {
    let waited = evidence.look(Step::WaitSubmitted)?;
    let answer = &waited.answer;
    if answer.is_pending() || !answer.status.is_success() {
        return Err(not_applicable("no answer came within the inline wait"));
    }
    waited.must(
        !answer.has(JOB_STATUS),
        "the handler's own answer, without Job-Status",
        answer.summary(),
    )
}

/// 1.2
pub(in crate::check) fn deferral(evidence: &Evidence) -> Judged {
    for submitted in evidence.deferred() {
        let status = submitted.answer.status;
        submitted.must(
            status == StatusCode::SEE_OTHER || status == StatusCode::ACCEPTED,
            "303 or 202",
            submitted.answer.summary(),
        )?;
    }
    evidence.look(Step::Done).map(drop)
}

/// 1.3
pub(in crate::check) fn acceptance(evidence: &Evidence) -> Judged {
    for submitted in evidence.deferred() {
        let answer = &submitted.answer;
        for name in ["location", "retry-after", "retry-after-ms", "job-status"] {
            let expected = format!("{name} in a pending answer");
            submitted.must(answer.has(name), expected, "none")?;
        }
        submitted.must(
            answer.lists("cache-control", "no-store"),
            "Cache-Control: no-store",
            answer.field("cache-control").unwrap_or("none"),
        )?;
        let is_document = answer.json().is_some_and(|document| document.is_object());
        submitted.must(
            is_document && answer.media_type() == "application/json",
            "a status document as body",
            format!("{} bytes of {:?}", answer.body.len(), answer.media_type()),
        )?;
        if answer.status == StatusCode::ACCEPTED {
            submitted.must(
                answer.field("content-location") == answer.field("location"),
                "Content-Location with the value of Location",
                answer.field("content-location").unwrap_or("none"),
            )?;
        }
    }
    Ok(())
}

/// 1.4
pub(in crate::check) fn delays(evidence: &Evidence) -> Judged {
    for exchange in evidence
        .all()
        .filter(|exchange| exchange.answer.is_pending())
    {
        let answer = &exchange.answer;
        let Some(text) = answer.field("retry-after") else {
            continue;
        };
        let seconds = text.parse::<u64>().ok().filter(|seconds| *seconds >= 1);
        exchange.must(
            seconds.is_some(),
            "Retry-After in whole seconds, at least 1",
            text,
        )?;
        let Some(millis) = answer.field(RETRY_AFTER_MS) else {
            continue;
        };
        let rounded = millis
            .parse::<u64>()
            .ok()
            .map(|millis| millis.div_ceil(1000).max(1));
        exchange.must(
            rounded == seconds,
            "retry-after-ms with the delay that Retry-After rounds up",
            format!("Retry-After: {text}, retry-after-ms: {millis}"),
        )?;
    }
    Ok(())
}

/// 1.5
pub(in crate::check) fn hosts(evidence: &Evidence) -> Judged {
    for exchange in evidence
        .all()
        .filter(|exchange| exchange.answer.is_pending())
    {
        let Some(location) = exchange.answer.field("location") else {
            continue;
        };
        let is_absolute = location
            .parse()
            .is_ok_and(|uri: Uri| uri.scheme().is_some());
        exchange.must(
            is_absolute || (location.starts_with('/') && !location.starts_with("//")),
            "Location with an absolute path, or an absolute URL",
            location,
        )?;
        exchange.must(
            !location.contains(OTHER_HOST),
            "Location independent of Host, Forwarded and X-Forwarded-Host",
            location,
        )?;
    }
    Ok(())
}

/// 1.6
pub(in crate::check) fn hints(evidence: &Evidence) -> Judged {
    if let Ok(hinted) = evidence.look(Step::PendingByLocation)
        && hinted.answer.is_pending()
    {
        let pending = evidence.look(Step::Pending)?;
        let expected = "the job also without the hints in the query";
        return pending.must(false, expected, pending.answer.summary());
    }
    for (step, answers) in [
        (Step::Submitted, 1),
        (Step::CancelSubmitted, 1),
        (Step::Early, 2),
    ] {
        let Ok(exchange) = evidence.look(step) else {
            continue;
        };
        let Some(location) = exchange.location().filter(|_| exchange.answer.is_pending()) else {
            continue;
        };
        let (poll, due) = (hint(&location, "poll"), hint(&location, "due"));
        let got = location.query().unwrap_or("no query").to_owned();
        exchange.should(
            poll.is_some() && due.is_some(),
            "`poll` and `due` in Location",
            &*got,
        )?;
        let is_right = poll.and_then(|poll| poll.parse().ok()) == Some(answers)
            && due.is_some_and(|due| due.parse::<u64>().is_ok());
        exchange.must(
            is_right,
            format!("poll={answers}, the number of answers, and `due` in milliseconds"),
            got,
        )?;
    }
    Ok(())
}

/// 1.7
pub(in crate::check) fn preferences(evidence: &Evidence) -> Judged {
    let submitted = evidence.look(Step::Submitted)?;
    let waited = evidence.look(Step::WaitSubmitted)?;
    if !submitted.answer.has(PREFERENCE_APPLIED) && !waited.answer.has(PREFERENCE_APPLIED) {
        return Err(not_applicable("the server applies no preferences"));
    }
    let applied = PreferenceApplied::from_headers(&submitted.answer.headers);
    submitted.must(
        applied.wait().is_none(),
        "Preference-Applied without `wait`, which was not asked for",
        submitted
            .answer
            .field(PREFERENCE_APPLIED)
            .unwrap_or_default(),
    )?;
    granted(waited, 2)
}

/// Requires that a time that is said to be granted was asked for, and has passed if the answer is
/// pending.
pub(super) fn granted(exchange: &Exchange, asked: u64) -> Judged {
    let answer = &exchange.answer;
    let got = answer.field(PREFERENCE_APPLIED).unwrap_or_default();
    let Some(granted) = PreferenceApplied::from_headers(&answer.headers).wait() else {
        return Ok(());
    };
    exchange.must(
        granted <= Duration::from_secs(asked),
        format!("Preference-Applied with at most wait={asked}"),
        got,
    )?;
    // It is rounded up to the second.
    let least = granted.saturating_sub(Duration::from_millis(1100));
    exchange.must(
        !answer.is_pending() || exchange.took >= least,
        "no pending answer before the time that Preference-Applied declares",
        format!("{got} after {} ms", exchange.took.as_millis()),
    )
}

/// 2.9
pub(in crate::check) fn ids(evidence: &Evidence) -> Judged {
    let is_id = |id: &str| {
        id.len() == 32
            && id
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    for submitted in evidence.deferred() {
        let Some(location) = submitted.location() else {
            continue;
        };
        let id = id(&location);
        submitted.must(is_id(id), "an id of 32 lower-case hexadecimal digits", id)?;
    }
    for step in [Step::UnknownJob, Step::CapitalId, Step::LongerId] {
        if let Ok(exchange) = evidence.look(step) {
            let answer = &exchange.answer;
            let is_unknown = answer.field(JOB_STATUS) == Some("unknown");
            let is_absent = answer.state().is_none() && answer.status == StatusCode::NOT_FOUND;
            exchange.must(
                is_unknown || is_absent,
                "another id to be unknown",
                answer.summary(),
            )?;
        }
    }
    Ok(())
}

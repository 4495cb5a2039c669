//! The acceptance of a job.

use std::time::Duration;

use http::{StatusCode, Uri};
use http_polling::{
    JOB_STATUS, PREFERENCE_APPLIED, PreferenceApplied, RETRY_AFTER_MS, same_origin,
};

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
    let done = evidence.look(Step::Done)?;
    let status = evidence.look(Step::DoneStatus).ok();
    let end = status
        .filter(|status| status.answer.has(JOB_STATUS) && !is_unknown(status))
        .unwrap_or(done);
    end.must(
        !is_unknown(end),
        "a job that polls find until it has ended",
        end.answer.summary(),
    )
}

/// 1.3
pub(in crate::check) fn acceptance(evidence: &Evidence) -> Judged {
    for submitted in evidence.deferred() {
        let answer = &submitted.answer;
        for name in ["location", "retry-after", "job-status"] {
            let expected = format!("{name} in a pending answer");
            submitted.must(answer.has(name), expected, "none")?;
        }
        submitted.must(
            answer.lists("cache-control", "no-store"),
            "Cache-Control: no-store",
            answer.field("cache-control").unwrap_or("none"),
        )?;
        let content = answer.field("content-location");
        submitted.must(
            content.is_none() || content == answer.field("location"),
            "Content-Location with the value of Location",
            content.unwrap_or_default(),
        )?;
    }
    for submitted in evidence.deferred() {
        let answer = &submitted.answer;
        let name = "retry-after-ms";
        submitted.should(
            answer.has(name),
            "retry-after-ms in a pending answer",
            "none",
        )?;
        let is_document = answer.json().is_some_and(|document| document.is_object());
        submitted.should(
            is_document && answer.media_type() == "application/json",
            "a status document as content",
            format!("{} bytes of {:?}", answer.body.len(), answer.media_type()),
        )?;
        submitted.should(
            answer.status != StatusCode::ACCEPTED || answer.has("content-location"),
            "Content-Location with 202",
            "none",
        )?;
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
    let submitted = evidence.look(Step::Submitted)?;
    let location = submitted.location();
    submitted.should(
        location.is_none_or(|location| same_origin(&location, &submitted.sent.uri)),
        "Location on the origin of the submission",
        submitted.answer.field("location").unwrap_or_default(),
    )
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
        let (Some(poll), Some(due)) = (hint(&location, "poll"), hint(&location, "due")) else {
            continue;
        };
        exchange.must(
            poll.parse() == Ok(answers) && due.parse::<u64>().is_ok(),
            format!("poll={answers}, the number of answers, and `due` in milliseconds"),
            location.query().unwrap_or_default(),
        )?;
    }
    let submitted = evidence.look(Step::Submitted)?;
    // A poll of a URL with hints is not a repeat of the one before if they are left out.
    let polled = evidence.look(Step::Pending)?;
    let is_repeat = Some(&polled.sent.uri) == submitted.location().as_ref();
    polled.should(
        !(is_repeat && polled.answer.is_pending() && polled.location() == submitted.location()),
        "a Location that differs from the one before",
        polled.answer.field("location").unwrap_or_default(),
    )
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
    let locations = evidence.deferred().filter_map(Exchange::location);
    let ids: Vec<_> = locations.map(|location| id(&location).to_owned()).collect();
    for (submitted, id) in evidence.deferred().zip(&ids) {
        let others = ids.iter().filter(|other| *other != id);
        let close = others.filter(|other| distance(id, other) < LEAST_DISTANCE);
        let got: Vec<_> = close.map(|other| format!("{id} and {other}")).collect();
        submitted.must(got.is_empty(), "ids that cannot be guessed", got.join(", "))?;
    }
    for step in [Step::UnknownJob, Step::LongerId] {
        if let Ok(exchange) = evidence.look(step) {
            exchange.must(
                is_unknown(exchange),
                "another id to be unknown",
                exchange.answer.summary(),
            )?;
        }
    }
    let is_id = |id: &str| {
        let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        id.len() == 32 && id.bytes().all(is_digit)
    };
    for (submitted, id) in evidence.deferred().zip(&ids) {
        submitted.should(is_id(id), "an id of 32 lower-case hexadecimal digits", id)?;
    }
    match evidence.look(Step::CapitalId) {
        Ok(capital) => capital.should(
            is_unknown(capital),
            "an id in capitals to be unknown",
            capital.answer.summary(),
        ),
        Err(_) => Ok(()),
    }
}

/// The least number of characters in which two random ids differ, with certainty.
const LEAST_DISTANCE: usize = 8;

/// Counts the characters in which two ids differ.
fn distance(one: &str, other: &str) -> usize {
    let differing = one
        .bytes()
        .zip(other.bytes())
        .filter(|(one, other)| one != other);
    differing.count() + one.len().abs_diff(other.len())
}

fn is_unknown(exchange: &Exchange) -> bool {
    let answer = &exchange.answer;
    match answer.field(JOB_STATUS) {
        Some(state) => state == "unknown",
        None => answer.status == StatusCode::NOT_FOUND,
    }
}

//! The results of jobs.

use http::{
    StatusCode,
    header::{ACCEPT_RANGES, CONTENT_RANGE, ETAG, EXPIRES, LAST_MODIFIED},
};
use http_polling::JobState;

use crate::check::{
    evidence::Evidence,
    record::Exchange,
    step::Step,
    verdict::{Judged, Verdict, not_applicable},
};

/// Returns the answer of the job that is done.
fn done(evidence: &Evidence) -> Result<&Exchange, Verdict> {
    let done = evidence.look(Step::Done)?;
    match done.answer.state() {
        Some(JobState::Done) | None => Ok(done),
        Some(JobState::Expired) => Err(not_applicable("results are dropped once delivered")),
        Some(state) => Err(not_applicable(format!("the job ended as {state}"))),
    }
}

/// 2.3
pub(in crate::check) fn replay(evidence: &Evidence) -> Judged {
    let done = done(evidence)?;
    let again = evidence.look(Step::DoneAgain)?;
    done.must(
        !done.answer.has(EXPIRES),
        "no Expires, which no-store replaces",
        "Expires",
    )?;
    if again.answer.state() != done.answer.state() {
        return Err(not_applicable("the result was read only once"));
    }
    again.must(
        again.answer.status == done.answer.status,
        format!("{}, as the first time", done.answer.status.as_u16()),
        again.answer.summary(),
    )?;
    again.must(
        again.answer.field("content-type") == done.answer.field("content-type"),
        "the Content-Type of the first time",
        again.answer.field("content-type").unwrap_or("none"),
    )?;
    let both_whole = again.answer.whole && done.answer.whole;
    again.must(
        !both_whole || again.answer.body == done.answer.body,
        "the body of the first time",
        format!("another body of {} bytes", again.answer.body.len()),
    )
}

/// 2.4
pub(in crate::check) fn retention(evidence: &Evidence) -> Judged {
    let status = evidence.look(Step::DoneStatus)?;
    let done = done(evidence)?;
    let again = evidence.look(Step::DoneAgain)?;
    if status.answer.state() != Some(JobState::Done) {
        return Err(not_applicable("the job did not end as done"));
    }
    match again.answer.state() {
        Some(JobState::Expired) => Err(not_applicable("results are dropped once delivered")),
        state => again.must(
            state == done.answer.state(),
            "the result until its retention ends",
            again.answer.summary(),
        ),
    }
}

/// 2.20
pub(in crate::check) fn validators(evidence: &Evidence) -> Judged {
    for submitted in evidence.deferred() {
        for name in [ETAG, LAST_MODIFIED] {
            let expected = format!("no {name} in an answer to a submission");
            submitted.must(!submitted.answer.has(&name), expected, name.as_str())?;
        }
    }
    let done = done(evidence)?;
    if done.answer.status != StatusCode::OK {
        return Err(not_applicable("the status of the result is not 200"));
    }
    if !done.answer.has(ACCEPT_RANGES) {
        return Err(not_applicable(
            "results are no files: there is no Accept-Ranges",
        ));
    }
    let tag = done.answer.field(ETAG);
    done.must(tag.is_some(), "ETag with Accept-Ranges", "none")?;
    let tag = tag.unwrap_or_default();
    for step in [Step::DoneHead, Step::DoneAgain] {
        if let Ok(other) = evidence.look(step)
            && other.answer.status == StatusCode::OK
        {
            other.must(
                other.answer.field(ETAG) == Some(tag),
                format!("ETag: {tag} each time"),
                other.answer.field(ETAG).unwrap_or("none"),
            )?;
        }
    }
    let modified = done.answer.field(LAST_MODIFIED);
    done.must(
        modified.is_none_or(|text| httpdate::parse_http_date(text).is_ok()),
        "Last-Modified with a date of HTTP",
        modified.unwrap_or_default(),
    )?;
    done.should(
        !tag.starts_with("W/"),
        "a strong ETag, unless it is the handler's",
        tag,
    )?;
    done.should(
        modified.is_some(),
        "Last-Modified with Accept-Ranges",
        "none",
    )
}

/// 2.21
pub(in crate::check) fn preconditions(evidence: &Evidence) -> Judged {
    let done = done(evidence)?;
    let not_modified = evidence.look(Step::NotModified)?;
    not_modified.must_be(304)?;
    evidence.look(Step::Precondition)?.must_be(412)?;
    let refused = evidence.look(Step::DeleteRefused)?;
    if !matches!(refused.answer.status.as_u16(), 405 | 501) {
        refused.must_be(412)?;
    }
    let Ok(range) = evidence.look(Step::Range) else {
        return Ok(());
    };
    range.must_be(206)?;
    let length = done.answer.body.len();
    let part = format!("bytes 0-0/{length}");
    range.must(
        range.answer.field(CONTENT_RANGE) == Some(&part),
        format!("Content-Range: {part}"),
        range.answer.field(CONTENT_RANGE).unwrap_or("none"),
    )?;
    range.must(
        range.answer.body == done.answer.body.slice(..1),
        "the first byte of the result",
        format!("{} bytes", range.answer.body.len()),
    )?;
    for name in ["content-digest", "content-md5"] {
        range.must(!range.answer.has(name), format!("no {name} in a 206"), name)?;
    }
    let beyond = evidence.look(Step::RangeBeyond)?;
    beyond.must_be(416)?;
    let whole = format!("bytes */{length}");
    beyond.must(
        beyond.answer.field(CONTENT_RANGE) == Some(&whole),
        format!("Content-Range: {whole}"),
        beyond.answer.field(CONTENT_RANGE).unwrap_or("none"),
    )?;
    for step in [Step::IfRange, Step::SeveralRanges, Step::UnreadableRange] {
        let exchange = evidence.look(step)?;
        exchange.must(
            exchange.answer.status == 200 && exchange.answer.body == done.answer.body,
            "200 and the whole result",
            exchange.answer.summary(),
        )?;
    }
    Ok(())
}

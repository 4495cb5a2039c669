//! The answers to requests for the rest of a result.

use std::time::Duration;

use http::{
    HeaderMap, HeaderName, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_RANGE, DATE, ETAG, LAST_MODIFIED},
};
use http_body::Body;
use hyper::body::Incoming;
use tower_poll::PendingJob;

use crate::{
    exit::{Code, Failure},
    output::State,
};

/// An answer to a request for the rest.
pub(super) enum Answer<R = Incoming> {
    Whole(Response<R>),
    /// A part that follows on the bytes so far, and the length of the whole, if known.
    Rest(Response<R>, Option<u64>),
    /// There is no rest.
    Complete,
    /// The bytes so far are no beginning of the result.
    Changed,
}

/// Judges an answer to a request for the bytes from a position. With 0, the
/// whole was requested.
///
/// # Errors
///
/// Fails if it is neither the result nor a part of it that follows on the
/// bytes so far.
pub(super) fn judge<R>(
    response: Response<R>,
    from: u64,
    state: &State,
) -> Result<Answer<R>, Failure> {
    let headers = response.headers();
    let is_poll = response.extensions().get::<PendingJob>().is_some();
    match response.status() {
        StatusCode::OK => Ok(Answer::Whole(response)),
        StatusCode::PARTIAL_CONTENT if from > 0 => {
            let range = text(headers, CONTENT_RANGE).and_then(|range| Range::parse(&range));
            let fits = |range: &Range| {
                range.first == from
                    && range.length.is_none_or(|length| range.last < length)
                    && (range.length.zip(state.length)).is_none_or(|(one, other)| one == other)
            };
            if !is_same(headers, state) {
                return Ok(Answer::Changed);
            }
            match range.filter(fits) {
                Some(range) if encoding(headers) == state.encoding => {
                    Ok(Answer::Rest(response, range.length))
                }
                _ => {
                    let text = "the server answered with another part than was asked for";
                    Err(Failure::new(Code::Range, text))
                }
            }
        }
        StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => {
            let range = text(headers, CONTENT_RANGE);
            let length = range.and_then(|range| range.strip_prefix("bytes */")?.parse().ok());
            let length: Option<u64> = length.or(state.length);
            let is_expected = state.length.is_none_or(|length| length == from);
            Ok(
                match length == Some(from) && is_expected && is_same(headers, state) {
                    true => Answer::Complete,
                    false => Answer::Changed,
                },
            )
        }
        _ if is_poll => Err(Failure::new(Code::HttpError, "polls kept failing")),
        _ => {
            let text = "the rest of the result cannot be fetched";
            Err(Failure::new(Code::HttpError, text))
        }
    }
}

/// Returns whether the validator of an answer, if it has one of that kind, is
/// the one that was sent.
fn is_same(headers: &HeaderMap, state: &State) -> bool {
    let validator = state.validator.as_deref().unwrap_or_default();
    let name = if validator.starts_with('"') {
        ETAG
    } else {
        LAST_MODIFIED
    };
    text(headers, name).is_none_or(|sent| sent == validator)
}

/// Returns the validator for If-Range (RFC 9110, section 13.1.5): a strong
/// entity-tag; without any entity-tag, a date of modification that is at least
/// a second before that of the answer.
pub(super) fn strong_validator(headers: &HeaderMap) -> Option<String> {
    if headers.contains_key(ETAG) {
        return text(headers, ETAG).filter(|tag| tag.starts_with('"'));
    }
    let modified = text(headers, LAST_MODIFIED)?;
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let sent = date(&text(headers, DATE)?)?;
    let before = sent.duration_since(date(&modified)?).ok()?;
    (before >= Duration::from_secs(1)).then_some(modified)
}

pub(super) fn encoding(headers: &HeaderMap) -> Option<String> {
    text(headers, CONTENT_ENCODING)
}

/// Returns the length of a whole result, if known.
pub(super) fn length<R: Body>(response: &Response<R>) -> Option<u64> {
    response.body().size_hint().exact()
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.trim().to_owned())
}

/// A Content-Range of a 206.
#[derive(Debug, PartialEq, Eq)]
struct Range {
    first: u64,
    last: u64,
    length: Option<u64>,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let (range, length) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let range = Self {
            first: first.parse().ok()?,
            last: last.parse().ok()?,
            length: match length {
                "*" => None,
                length => Some(length.parse().ok()?),
            },
        };
        (range.first <= range.last).then_some(range)
    }
}

#[cfg(test)]
mod tests;

//! Preconditions and ranges of requests (RFC 9110, sections 13 and 14).

use std::time::SystemTime;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        ETAG, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
        LAST_MODIFIED, RANGE,
    },
};

/// The conditions of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions<'a> {
    /// The headers of the request.
    pub(crate) headers: &'a HeaderMap,
    /// Its method is one for which ranges are defined.
    pub(crate) ranges: bool,
    /// Its preconditions count.
    pub(crate) preconditions: bool,
}

/// The result of evaluating preconditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All are met.
    Met,
    /// The client has the representation already.
    NotModified,
    /// One has failed.
    Failed,
}

/// The part of a representation that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Selected {
    Whole,
    Part {
        /// The position of the first byte.
        first: u64,
        /// The position of the last byte, which exists.
        last: u64,
        /// The range has no end: the client continues from its first byte.
        is_rest: bool,
    },
    /// There is no such part.
    Nothing,
}

/// The headers to copy from a request.
const NAMES: [HeaderName; 6] = [
    IF_MATCH,
    IF_UNMODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_MODIFIED_SINCE,
    IF_RANGE,
    RANGE,
];

impl<'a> Conditions<'a> {
    /// Copies the conditions among the headers of a request.
    #[cold]
    pub(crate) fn among(headers: &HeaderMap) -> Box<HeaderMap> {
        let mut conditions = HeaderMap::new();
        for name in NAMES {
            for value in headers.get_all(&name) {
                conditions.append(&name, value.clone());
            }
        }
        Box::new(conditions)
    }

    /// Evaluates the preconditions in the order of RFC 9110, section 13.2.2. `current` has the
    /// validators of the representation.
    pub(crate) fn verdict(&self, current: &HeaderMap) -> Verdict {
        if !self.preconditions {
            return Verdict::Met;
        }
        let tag = current.get(ETAG).and_then(Tag::of);
        let modified = date(current, LAST_MODIFIED);
        // Compares a date, which is ignored if it cannot be compared.
        let since = |name, is_met: fn(SystemTime, SystemTime) -> bool| {
            let compared = date(self.headers, name).zip(modified);
            compared.is_none_or(|(date, modified)| is_met(modified, date))
        };
        let matches = if self.headers.contains_key(IF_MATCH) {
            self.matches(IF_MATCH, |given| {
                tag.is_some_and(|tag| given.is_strongly(tag))
            })
        } else {
            since(IF_UNMODIFIED_SINCE, |modified, date| modified <= date)
        };
        let is_new = if self.headers.contains_key(IF_NONE_MATCH) {
            !self.matches(IF_NONE_MATCH, |given| {
                tag.is_some_and(|tag| given.text == tag.text)
            })
        } else {
            since(IF_MODIFIED_SINCE, |modified, date| modified > date)
        };
        match (matches, is_new) {
            (false, _) => Verdict::Failed,
            (true, false) => Verdict::NotModified,
            (true, true) => Verdict::Met,
        }
    }

    /// Returns whether the preconditions allow to change the representation. If-Modified-Since is
    /// none for that.
    pub(crate) fn allow_change(&self, current: &HeaderMap) -> bool {
        match self.verdict(current) {
            Verdict::Met => true,
            Verdict::NotModified => !self.headers.contains_key(IF_NONE_MATCH),
            Verdict::Failed => false,
        }
    }

    /// Returns whether a list of entity-tags has one that matches, or is `*`.
    fn matches(&self, name: HeaderName, is_match: impl Fn(Tag<'_>) -> bool) -> bool {
        let mut values = self.headers.get_all(name).iter();
        values.any(|value| {
            let value = value.as_bytes().trim_ascii();
            value == b"*" || Tags(value).any(&is_match)
        })
    }

    /// Returns the part of a representation of this length that the request asks for. Several
    /// ranges in one request are ignored (RFC 9110, section 14.2), as are those that cannot be
    /// read.
    pub(crate) fn selected(&self, current: &HeaderMap, length: u64) -> Selected {
        let range = single(self.headers, RANGE).filter(|_| self.ranges && self.if_range(current));
        match range.and_then(|range| Range::parse(range.as_bytes())) {
            None => Selected::Whole,
            // No range describes a part of nothing (RFC 9110, section 14.4).
            Some(Range::Last(1..)) if length == 0 => Selected::Whole,
            Some(Range::Last(0)) => Selected::Nothing,
            Some(Range::From(first, _)) if first >= length => Selected::Nothing,
            Some(Range::From(first, last)) => Selected::Part {
                first,
                last: last.unwrap_or(u64::MAX).min(length - 1),
                is_rest: last.is_none(),
            },
            Some(Range::Last(count)) => Selected::Part {
                first: length.saturating_sub(count),
                last: length - 1,
                is_rest: false,
            },
        }
    }

    /// Returns whether the range counts (RFC 9110, section 13.1.5). A date is a strong validator
    /// here, since a stored result does not change within a second, or ever (section 8.8.2.2).
    fn if_range(&self, current: &HeaderMap) -> bool {
        if !self.headers.contains_key(IF_RANGE) {
            return true;
        }
        let given = single(self.headers, IF_RANGE);
        match given.and_then(Tag::of) {
            Some(given) => {
                let tag = current.get(ETAG).and_then(Tag::of);
                tag.is_some_and(|tag| given.is_strongly(tag))
            }
            None => {
                let given = date(self.headers, IF_RANGE);
                given.is_some() && given == date(current, LAST_MODIFIED)
            }
        }
    }
}

/// Returns the value of a header that may not be repeated.
fn single(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    let text = single(headers, name)?.to_str().ok()?;
    httpdate::parse_http_date(text).ok()
}

/// An entity-tag (RFC 9110, section 8.8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tag<'a> {
    is_weak: bool,
    /// The opaque part, without quotes.
    text: &'a [u8],
}

impl<'a> Tag<'a> {
    /// Reads a value that is one entity-tag.
    fn of(value: &'a HeaderValue) -> Option<Self> {
        let (tag, rest) = Self::first(value.as_bytes().trim_ascii())?;
        rest.is_empty().then_some(tag)
    }

    /// Reads the entity-tag at the beginning of a text. Returns the rest too.
    fn first(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let strong = text.strip_prefix(b"W/");
        let rest = strong.unwrap_or(text).strip_prefix(b"\"")?;
        let end = rest.iter().position(|byte| *byte == b'"')?;
        let tag = Self {
            is_weak: strong.is_some(),
            text: &rest[..end],
        };
        Some((tag, &rest[end + 1..]))
    }

    /// Compares strongly (RFC 9110, section 8.8.3.2).
    fn is_strongly(self, other: Self) -> bool {
        !self.is_weak && self == other
    }
}

/// The entity-tags of a list, up to the first that cannot be read.
struct Tags<'a>(&'a [u8]);

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        let is_tag = |byte: &u8| !matches!(byte, b',' | b' ' | b'\t');
        let begin = self.0.iter().position(is_tag)?;
        let (tag, rest) = Tag::first(&self.0[begin..])?;
        self.0 = rest;
        Some(tag)
    }
}

/// A range of bytes (RFC 9110, section 14.1.2). Numbers beyond all lengths are the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    /// From this position, to the one given or to the end.
    From(u64, Option<u64>),
    /// This number of bytes at the end.
    Last(u64),
}

impl Range {
    /// Parses a set of one range.
    fn parse(value: &[u8]) -> Option<Self> {
        let (unit, set) = value.split_at_checked(b"bytes=".len())?;
        if !unit.eq_ignore_ascii_case(b"bytes=") {
            return None;
        }
        let members = set.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let mut members = members.filter(|member| !member.is_empty());
        let (member, None) = (members.next()?, members.next()) else {
            return None;
        };
        let dash = member.iter().position(|byte| *byte == b'-')?;
        let (first, last) = (&member[..dash], &member[dash + 1..]);
        if first.is_empty() {
            return number(last).map(Self::Last);
        }
        let first = number(first)?;
        if last.is_empty() {
            return Some(Self::From(first, None));
        }
        let last = number(last)?;
        (first <= last).then_some(Self::From(first, Some(last)))
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |number: u64, digit: &u8| {
        number
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    };
    Some(digits.iter().fold(0, digit))
}

#[cfg(test)]
mod tests;

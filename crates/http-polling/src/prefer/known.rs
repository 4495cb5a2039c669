//! The preferences that this crate supports, in `Prefer` or
//! `Preference-Applied`.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::list::{members, name_and_value, word};
use crate::{digits, rounding::whole_seconds};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) respond_async: bool,
    /// In whole seconds.
    pub(super) wait: Option<Duration>,
}

enum Name {
    RespondAsync,
    Wait,
}

impl Name {
    fn of(name: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"respond-async") {
            Some(Self::RespondAsync)
        } else if name.eq_ignore_ascii_case(b"wait") {
            Some(Self::Wait)
        } else {
            None
        }
    }
}

impl Known {
    pub(super) fn read(headers: &HeaderMap, field: HeaderName) -> Self {
        let mut known = Self::default();
        // Only the first instance of a preference counts (RFC 7240, section
        // 2), usable or not.
        let (mut respond_async_seen, mut wait_seen) = (false, false);
        for value in headers.get_all(field) {
            for member in members(value.as_bytes()) {
                let (name, value) = name_and_value(member);
                match Name::of(name) {
                    Some(Name::RespondAsync) if !respond_async_seen => {
                        respond_async_seen = true;
                        known.respond_async = word(value).next().is_none();
                    }
                    Some(Name::Wait) if !wait_seen => {
                        wait_seen = true;
                        known.wait = digits::parse_saturating(word(value)).map(Duration::from_secs);
                    }
                    _ => {}
                }
            }
        }
        known
    }

    pub(super) fn set_wait(&mut self, wait: Duration) {
        self.wait = Some(Duration::from_secs(whole_seconds(wait)));
    }

    /// Formats the preferences as a field value. Returns `None` if there are
    /// none.
    pub(super) fn to_header_value(self) -> Option<HeaderValue> {
        match (self.respond_async, self.wait) {
            (false, None) => None,
            (true, None) => Some(HeaderValue::from_static("respond-async")),
            (respond_async, Some(wait)) => {
                let separator = if respond_async { "respond-async, " } else { "" };
                let mut seconds = itoa::Buffer::new();
                let text = [separator, "wait=", seconds.format(wait.as_secs())].concat();
                Some(HeaderValue::try_from(text).expect("a preference is visible ASCII"))
            }
        }
    }
}

/// Removes the members that are `removed` from `field`. Values without any are
/// kept unchanged.
pub(super) fn remove_members(
    headers: &mut HeaderMap,
    field: HeaderName,
    removed: impl Fn(&[u8]) -> bool,
) {
    let has_removed = |value: &HeaderValue| members(value.as_bytes()).any(&removed);
    if !headers.get_all(&field).iter().any(has_removed) {
        return;
    }
    let kept: Vec<HeaderValue> = headers
        .get_all(&field)
        .iter()
        .filter_map(|value| match has_removed(value) {
            true => without(value, &removed),
            false => Some(value.clone()),
        })
        .collect();
    headers.remove(&field);
    for value in kept {
        headers.append(&field, value);
    }
}

/// Returns whether a member is one of the known preferences.
pub(super) fn is_known(member: &[u8]) -> bool {
    Name::of(name_and_value(member).0).is_some()
}

fn without(value: &HeaderValue, removed: impl Fn(&[u8]) -> bool) -> Option<HeaderValue> {
    let mut kept = Vec::with_capacity(value.len());
    for member in members(value.as_bytes()).filter(|member| !removed(member)) {
        if !kept.is_empty() {
            kept.extend_from_slice(b", ");
        }
        kept.extend_from_slice(member);
    }
    if kept.is_empty() {
        return None;
    }
    let mut kept = HeaderValue::try_from(kept).ok()?;
    kept.set_sensitive(value.is_sensitive());
    Some(kept)
}

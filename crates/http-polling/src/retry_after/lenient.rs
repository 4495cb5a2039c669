//! Delays outside the grammar of `Retry-After`, which servers send.

use std::time::Duration;

use crate::{digits, rounding::whole_seconds};

/// The names of seconds. Other units have the names that humantime accepts.
const SECONDS: [&str; 6] = ["", "s", "sec", "secs", "second", "seconds"];

/// Returns the largest delay of a list, in whole seconds.
pub(super) fn delay(text: &str) -> Option<Duration> {
    text.split(',')
        .filter_map(|member| one(member.trim()))
        .max()
}

/// Parses `1*DIGIT [ "." 1*DIGIT ]` and a unit, or numbers with units such as
/// `1m 30s`.
fn one(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let unit = unit.trim_start();
    if SECONDS.iter().any(|word| word.eq_ignore_ascii_case(unit)) {
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let whole = digits::parse_saturating(whole.bytes())?;
        let part = u64::from(digits::parse_saturating(fraction.bytes())? > 0);
        return Some(Duration::from_secs(whole.saturating_add(part)));
    }
    let delay = humantime::parse_duration(text).ok()?;
    Some(Duration::from_secs(whole_seconds(delay)))
}

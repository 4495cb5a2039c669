//! Points in time in documents: RFC 3339 text in UTC with milliseconds. The
//! module serves `#[serde(with = "timestamp")]` on an optional time.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The first second of the year 10000, which RFC 3339 cannot express.
const END: Duration = Duration::from_secs(253_402_300_800);

/// Returns whether `time` has no text: it is absent, before 1970, or after the
/// year 9999.
pub(crate) fn is_unwritable(time: &Option<SystemTime>) -> bool {
    since_epoch(*time).is_none()
}

fn since_epoch(time: Option<SystemTime>) -> Option<Duration> {
    let since = time?.duration_since(UNIX_EPOCH).ok()?;
    (since < END).then_some(since)
}

pub(crate) fn serialize<S: Serializer>(
    time: &Option<SystemTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let text = text(*time);
    text.as_ref()
        .map(|text| str::from_utf8(text).unwrap_or_default())
        .serialize(serializer)
}

/// Formats `time` as `YYYY-MM-DDThh:mm:ss.mmmZ`, unless it
/// [cannot be written](is_unwritable).
pub(crate) fn text(time: Option<SystemTime>) -> Option<[u8; 24]> {
    let since = since_epoch(time)?;
    // Fits into 32 bits: fewer than 3 million days precede the year 10000.
    let (days, second) = (
        (since.as_secs() / 86_400) as u32,
        (since.as_secs() % 86_400) as u32,
    );
    let (year, month, day) = date(days);
    let (minute, second) = (second / 60, second % 60);
    let milli = since.subsec_millis();
    let mut text = *b"0000-00-00T00:00:00.000Z";
    put(&mut text, 0, year / 100);
    put(&mut text, 2, year % 100);
    put(&mut text, 5, month);
    put(&mut text, 8, day);
    put(&mut text, 11, minute / 60);
    put(&mut text, 14, minute % 60);
    put(&mut text, 17, second);
    text[20] = b'0' + (milli / 100) as u8;
    put(&mut text, 21, milli % 100);
    Some(text)
}

/// Computes year, month and day of the date that is `days` after 1 January 1970,
/// in the Gregorian calendar.
///
/// The computation begins years on 1 March, so that the leap day is their last
/// day, and groups them into eras of 400 years, which all have the same number
/// of days.
fn date(days: u32) -> (u32, u32, u32) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year;
    if month < 10 {
        (year, month + 3, day_of_month)
    } else {
        (year + 1, month - 9, day_of_month)
    }
}

/// Writes a number below 100 with two digits.
fn put(text: &mut [u8; 24], at: usize, number: u32) {
    text[at] = b'0' + (number / 10) as u8;
    text[at + 1] = b'0' + (number % 10) as u8;
}

/// Parses a time. Text that is not a time is read as an absent time, since no
/// decision depends on these times.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SystemTime>, D::Error> {
    let text = Option::<Cow<'de, str>>::deserialize(deserializer)?;
    Ok(text.and_then(|text| humantime::parse_rfc3339(&text).ok()))
}

#[cfg(test)]
mod tests;

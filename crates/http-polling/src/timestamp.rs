//! Points in time as documents carry them: RFC 3339 text in UTC with
//! milliseconds. For `#[serde(with = "timestamp")]` on an optional time.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The first second of the year 10000, which RFC 3339 cannot write.
const END: Duration = Duration::from_secs(253_402_300_800);

/// Whether there is no text for `time`: it is absent, lies before 1970, or
/// behind the year 9999.
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

/// `YYYY-MM-DDThh:mm:ss.mmmZ`, if there is a text for `time`.
pub(crate) fn text(time: Option<SystemTime>) -> Option<[u8; 24]> {
    let since = since_epoch(time)?;
    let (year, month, day) = date(since.as_secs() / 86_400);
    let second = since.as_secs() % 86_400;
    let mut text = *b"0000-00-00T00:00:00.000Z";
    put(&mut text[0..4], year);
    put(&mut text[5..7], month);
    put(&mut text[8..10], day);
    put(&mut text[11..13], second / 3_600);
    put(&mut text[14..16], second / 60 % 60);
    put(&mut text[17..19], second % 60);
    put(&mut text[20..23], since.subsec_millis().into());
    Some(text)
}

/// Year, month and day of so many days after 1 January 1970, in the Gregorian
/// calendar.
///
/// Years are reckoned from 1 March, so that the leap day is their last, and
/// in eras of 400 years, of which all have the same number of days.
fn date(days: u64) -> (u64, u64, u64) {
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

/// Writes `number` with as many digits as there is room for.
fn put(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Text that is not a time is read as an absent time: times inform, nothing
/// depends on them.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SystemTime>, D::Error> {
    let text = Option::<Cow<'de, str>>::deserialize(deserializer)?;
    Ok(text.and_then(|text| humantime::parse_rfc3339(&text).ok()))
}

#[cfg(test)]
mod tests;

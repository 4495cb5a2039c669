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
    writable(*time).is_none()
}

fn writable(time: Option<SystemTime>) -> Option<SystemTime> {
    time.filter(|time| {
        time.duration_since(UNIX_EPOCH)
            .is_ok_and(|since| since < END)
    })
}

pub(crate) fn serialize<S: Serializer>(
    time: &Option<SystemTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    writable(*time)
        .map(|time| humantime::format_rfc3339_millis(time).to_string())
        .serialize(serializer)
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

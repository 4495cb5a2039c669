//! Parsing and formatting of durations.

use std::time::Duration;

/// Parses a duration with units, such as `90 s`, `1.5h` or `1h30m`. A number
/// without a unit, which may have decimals, is in seconds, as for curl.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && let Ok(seconds) = text.parse()
    {
        return Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string());
    }
    humantime::parse_duration(text).map_err(|error| error.to_string())
}

/// Parses a [`duration`](fn@duration) that is a limit. 0 is no limit, as for
/// curl.
pub(crate) fn limit(text: &str) -> Result<Duration, String> {
    duration(text).map(|limit| match limit {
        Duration::ZERO => Duration::MAX,
        limit => limit,
    })
}

/// Formats a duration with at most its two largest units, such as `1 min 30 s`.
pub(crate) fn delay(delay: Duration) -> String {
    let millis = delay.as_millis();
    let tenths = (millis + 50) / 100;
    let seconds = (millis + 500) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if millis < 1000 => format!("{millis} ms"),
        () if tenths < 100 && !tenths.is_multiple_of(10) => {
            format!("{}.{} s", tenths / 10, tenths % 10)
        }
        () if minutes == 0 => format!("{seconds} s"),
        () if hours == 0 => both(minutes, "min", seconds % 60, "s"),
        () if days == 0 => both(hours, "h", minutes % 60, "min"),
        () => both(days, "d", hours % 24, "h"),
    }
}

fn both(more: u128, large: &str, rest: u128, small: &str) -> String {
    match rest {
        0 => format!("{more} {large}"),
        rest => format!("{more} {large} {rest} {small}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_or_are_seconds() {
        for (text, millis) in [
            ("90", 90_000),
            ("90s", 90_000),
            ("90 s", 90_000),
            ("0.25", 250),
            (".5", 500),
            ("2 min", 120_000),
            ("1h30m", 5_400_000),
            ("20ms", 20),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "-1",
            "s",
            "inf",
            "nan",
            "1e400",
            "99999999999999999999y",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limit_of_0_is_none() {
        assert_eq!(limit("0"), Ok(Duration::MAX));
        assert_eq!(limit("1"), Ok(Duration::from_secs(1)));
    }

    #[test]
    fn delays_are_shown_as_people_write_them() {
        for (millis, expected) in [
            (0, "0 ms"),
            (5, "5 ms"),
            (999, "999 ms"),
            (1000, "1 s"),
            (1103, "1.1 s"),
            (9_980, "10 s"),
            (12_345, "12 s"),
            (59_600, "1 min"),
            (90_000, "1 min 30 s"),
            (3_600_000, "1 h"),
            (5_430_000, "1 h 30 min"),
            (273_600_000, "3 d 4 h"),
        ] {
            assert_eq!(delay(Duration::from_millis(millis)), expected);
        }
        assert!(delay(Duration::MAX).ends_with(" d 7 h"));
    }
}

use std::{
    fmt,
    time::{Duration, SystemTime},
};

const SECONDS: u64 = 86_400;

/// A day, in UTC. Its text is that of ISO 8601, whose order is that of the days.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Day(u32);

impl Day {
    /// Returns the day with this number, counted from the first of January 1970.
    pub(crate) const fn from_number(number: u32) -> Self {
        Self(number)
    }

    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    /// Returns the day of a time.
    pub(crate) fn of(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        let days = since.map_or(0, |since: Duration| since.as_secs() / SECONDS);
        Self(u32::try_from(days).unwrap_or(u32::MAX))
    }

    /// Returns whether a text has the form of a day.
    pub(crate) fn is_day(text: &str) -> bool {
        let is_right = |(at, byte): (usize, u8)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        };
        text.len() == 10 && text.bytes().enumerate().all(is_right)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Counted from the first of March of the year 0, so that a leap day is the last of its year.
        let days = u64::from(self.0) + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 {
            (month + 3, 0)
        } else {
            (month - 9, 1)
        };
        let year = year + 400 * era + next;
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (number, text) in [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_783, "2026-11-26"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(Day::from_number(number).to_string(), text);
            assert!(Day::is_day(text));
        }
        for text in ["2026-11-2", "2026-11-267", "2026/11/26", "results", ""] {
            assert!(!Day::is_day(text), "{text}");
        }
    }

    #[test]
    fn a_day_lasts_until_midnight() {
        let time = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(Day::of(time(SECONDS - 1)), Day::from_number(0));
        assert_eq!(Day::of(time(SECONDS)), Day::from_number(1));
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Day::of(before), Day::from_number(0));
    }
}

//! `Retry-After` (RFC 9110, section 10.2.3), and related fields in milliseconds.

mod lenient;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AGE, DATE, RETRY_AFTER},
};

use crate::{
    digits,
    rounding::{whole_millis, whole_seconds},
};

/// `retry-after-ms`, a delay in milliseconds, for clients that support delays
/// below a second.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use http_polling::{RETRY_AFTER_MS, retry_after};
/// use std::time::{Duration, SystemTime};
///
/// let mut headers = HeaderMap::new();
/// headers.insert(RETRY_AFTER_MS, HeaderValue::from_static("250"));
/// let delay = retry_after(&headers, SystemTime::now());
/// assert_eq!(delay, Some(Duration::from_millis(250)));
/// ```
pub const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// `x-ms-retry-after-ms`, the name under which some services send
/// [`RETRY_AFTER_MS`].
pub const X_MS_RETRY_AFTER_MS: HeaderName = HeaderName::from_static("x-ms-retry-after-ms");

/// The last second of the year 9999, the last date that HTTP can express.
const LAST_DATE: Duration = Duration::from_secs(253_402_300_799);

/// One `Retry-After` value (RFC 9110, section 10.2.3).
///
/// ```
/// use http::HeaderValue;
/// use http_polling::RetryAfter;
/// use std::time::{Duration, UNIX_EPOCH};
///
/// let value = HeaderValue::from_static("120");
/// let two_minutes = RetryAfter::Delay(Duration::from_secs(120));
/// assert_eq!(RetryAfter::parse(&value), Some(two_minutes));
///
/// let value = HeaderValue::from_static("Thu, 01 Jan 1970 00:01:00 GMT");
/// let minute_past = RetryAfter::Date(UNIX_EPOCH + Duration::from_secs(60));
/// assert_eq!(RetryAfter::parse(&value), Some(minute_past));
/// assert_eq!(minute_past.delay_from(UNIX_EPOCH), Duration::from_secs(60));
/// ```
// Exhaustive, since the grammar has only these two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// A delay, counted from the arrival of the response.
    Delay(Duration),
    /// A point in time by the server's clock.
    Date(SystemTime),
}

impl RetryAfter {
    /// Parses one `Retry-After` value: whole seconds, or an HTTP date in any of
    /// its three forms.
    ///
    /// Accepts some values outside the grammar, which servers send: a decimal
    /// fraction, which is rounded up to the second; a unit, as in `30 s` or
    /// `2 minutes`; and a list of delays, of which the largest counts. Returns
    /// `None` for other values, including negative numbers. A number that is
    /// too large becomes the largest possible.
    ///
    /// ```
    /// use http::HeaderValue;
    /// use http_polling::RetryAfter;
    /// use std::time::Duration;
    ///
    /// for (text, seconds) in [("2.5", 3), ("30 s", 30), ("30,120", 120)] {
    ///     let read = RetryAfter::parse(&HeaderValue::from_static(text));
    ///     assert_eq!(read, Some(RetryAfter::Delay(Duration::from_secs(seconds))));
    /// }
    /// ```
    #[must_use]
    pub fn parse(value: &HeaderValue) -> Option<Self> {
        let text = value.as_bytes().trim_ascii();
        if let Some(seconds) = digits::parse_saturating(text.iter().copied()) {
            return Some(Self::Delay(Duration::from_secs(seconds)));
        }
        let text = str::from_utf8(text).ok()?;
        let date = httpdate::parse_http_date(text).ok().map(Self::Date);
        date.or_else(|| lenient::delay(text).map(Self::Delay))
    }

    /// Chooses between two values of one response: the larger delay, or the
    /// first value if one of them is a date.
    fn or_larger(self, other: Self) -> Self {
        match (self, other) {
            (Self::Delay(first), Self::Delay(second)) => Self::Delay(first.max(second)),
            (first, _) => first,
        }
    }

    /// Returns the delay from `reference`, which is zero for a date that has
    /// passed.
    #[must_use]
    pub fn delay_from(self, reference: SystemTime) -> Duration {
        match self {
            Self::Delay(delay) => delay,
            Self::Date(date) => date.duration_since(reference).unwrap_or_default(),
        }
    }

    /// Formats the value to send: a delay in whole seconds, or a date in its
    /// preferred form.
    ///
    /// Both are rounded up to the second. A date is limited to the years 1970
    /// to 9999.
    ///
    /// ```
    /// use http_polling::RetryAfter;
    /// use std::time::Duration;
    ///
    /// let value = RetryAfter::Delay(Duration::from_millis(1_001)).to_header_value();
    /// assert_eq!(value, "2");
    /// ```
    #[must_use]
    pub fn to_header_value(self) -> HeaderValue {
        match self {
            Self::Delay(delay) => HeaderValue::from(whole_seconds(delay)),
            Self::Date(date) => {
                let since = date.duration_since(UNIX_EPOCH).unwrap_or_default();
                let whole = Duration::from_secs(whole_seconds(since)).min(LAST_DATE);
                HeaderValue::try_from(httpdate::fmt_http_date(UNIX_EPOCH + whole))
                    .expect("an HTTP date is visible ASCII")
            }
        }
    }
}

/// Reads the delay that a response with these `headers` asks for.
///
/// `retry-after-ms` takes precedence over `x-ms-retry-after-ms`, and that over
/// `Retry-After`. A value that cannot be read counts as absent;
/// [`has_retry_after`] finds such values too. If a field occurs more than once,
/// the largest delay of `Retry-After` counts, and the first readable value of
/// the other fields. A number of milliseconds may have a fraction, and is
/// rounded up.
///
/// A date is compared with the response's own `Date`, so that the clocks of
/// server and client may differ. It is compared with `now` if `Date` is missing
/// or invalid, or if `Age` is present, since a cached answer is older than its
/// delivery. A date that has passed gives a delay of zero.
///
/// The server chooses the delay, which may be centuries long. The caller must
/// limit it.
///
/// ```
/// use http::{HeaderMap, HeaderValue, header};
/// use http_polling::retry_after;
/// use std::time::{Duration, SystemTime};
///
/// let mut headers = HeaderMap::new();
/// assert_eq!(retry_after(&headers, SystemTime::now()), None);
///
/// headers.insert(header::DATE, HeaderValue::from_static("Wed, 01 Jan 2031 10:00:00 GMT"));
/// headers.insert(header::RETRY_AFTER, HeaderValue::from_static("Wed, 01 Jan 2031 10:00:30 GMT"));
/// let delay = retry_after(&headers, SystemTime::now());
/// assert_eq!(delay, Some(Duration::from_secs(30)));
/// ```
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let mut asked = Asked::default();
    for (name, value) in headers {
        asked.note(name.as_str(), value);
    }
    asked.delay(headers, now)
}

/// Returns whether a response with these `headers` asks the client to wait.
///
/// The delay may be unreadable. In that case the client chooses one.
///
/// ```
/// use http::{HeaderMap, HeaderValue, header};
/// use http_polling::{has_retry_after, retry_after};
/// use std::time::SystemTime;
///
/// let mut headers = HeaderMap::new();
/// assert!(!has_retry_after(&headers));
/// headers.insert(header::RETRY_AFTER, HeaderValue::from_static("soon"));
/// assert!(has_retry_after(&headers));
/// assert_eq!(retry_after(&headers, SystemTime::now()), None);
/// ```
#[must_use]
pub fn has_retry_after(headers: &HeaderMap) -> bool {
    [RETRY_AFTER, RETRY_AFTER_MS, X_MS_RETRY_AFTER_MS]
        .iter()
        .any(|name| headers.contains_key(name))
}

/// The delays in the fields of one response, collected one field at a time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    millis: Option<Duration>,
    x_ms_millis: Option<Duration>,
    retry_after: Option<RetryAfter>,
    /// `true` if one of the fields is present, readable or not.
    pub(crate) is_there: bool,
}

impl Asked {
    #[inline]
    pub(crate) fn note(&mut self, name: &str, value: &HeaderValue) {
        match name {
            "retry-after" => {
                let further = RetryAfter::parse(value);
                self.retry_after = match (self.retry_after, further) {
                    (Some(first), Some(further)) => Some(first.or_larger(further)),
                    (first, further) => first.or(further),
                };
            }
            "retry-after-ms" => self.millis = self.millis.or_else(|| parse_millis(value)),
            "x-ms-retry-after-ms" => {
                self.x_ms_millis = self.x_ms_millis.or_else(|| parse_millis(value));
            }
            _ => return,
        }
        self.is_there = true;
    }

    /// Returns the same delay as [`retry_after`] for these `headers`.
    pub(crate) fn delay(self, headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
        self.millis.or(self.x_ms_millis).or_else(|| {
            let asked = self.retry_after?;
            Some(asked.delay_from(reference(asked, headers, now)))
        })
    }
}

/// Sets `Retry-After` and `retry-after-ms` to `delay`.
///
/// `Retry-After` is in whole seconds, rounded up and at least 1.
/// `retry-after-ms` is rounded up to the millisecond. Existing values are
/// replaced.
///
/// ```
/// use http::HeaderMap;
/// use http_polling::set_retry_after;
/// use std::time::Duration;
///
/// let mut headers = HeaderMap::new();
/// set_retry_after(&mut headers, Duration::from_millis(1_250));
/// assert_eq!(headers["retry-after"], "2");
/// assert_eq!(headers["retry-after-ms"], "1250");
/// ```
pub fn set_retry_after(headers: &mut HeaderMap, delay: Duration) {
    let [seconds, millis] = retry_after_values(delay);
    headers.insert(RETRY_AFTER, seconds);
    headers.insert(RETRY_AFTER_MS, millis);
}

/// Returns the values of `Retry-After` and `retry-after-ms` that
/// [`set_retry_after`] sets.
///
/// ```
/// use http_polling::retry_after_values;
/// use std::time::Duration;
///
/// let [seconds, millis] = retry_after_values(Duration::from_millis(1_250));
/// assert_eq!((seconds, millis), ("2".parse().unwrap(), "1250".parse().unwrap()));
/// ```
#[must_use]
pub fn retry_after_values(delay: Duration) -> [HeaderValue; 2] {
    // On zero, some clients use a long default interval.
    let seconds = whole_seconds(delay).max(1);
    [number(seconds), number(whole_millis(delay))]
}

/// Formats a number as a value of exactly the needed size. A single digit is
/// not allocated.
fn number(number: u64) -> HeaderValue {
    const DIGITS: &str = "0123456789";
    match usize::try_from(number) {
        Ok(digit @ 0..10) => HeaderValue::from_static(&DIGITS[digit..=digit]),
        _ => HeaderValue::from_str(itoa::Buffer::new().format(number))
            .expect("digits are visible ASCII"),
    }
}

/// The point in time that a date in `headers` is compared with.
fn reference(asked: RetryAfter, headers: &HeaderMap, now: SystemTime) -> SystemTime {
    match asked {
        RetryAfter::Date(_) if !headers.contains_key(AGE) => headers
            .get(DATE)
            .and_then(|date| parse_date(date.as_bytes().trim_ascii()))
            .unwrap_or(now),
        _ => now,
    }
}

fn parse_date(text: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(text).ok()?;
    httpdate::parse_http_date(text).ok()
}

/// Parses `1*DIGIT [ "." 1*DIGIT ]`, rounded up to the millisecond.
fn parse_millis(value: &HeaderValue) -> Option<Duration> {
    let text = value.as_bytes().trim_ascii();
    let point = text.iter().position(|&byte| byte == b'.');
    let (whole, fraction) = match point {
        Some(point) => (&text[..point], &text[point + 1..]),
        None => (text, &b"0"[..]),
    };
    let whole = digits::parse_saturating(whole.iter().copied())?;
    let part = u64::from(digits::parse_saturating(fraction.iter().copied())? > 0);
    Some(Duration::from_millis(whole.saturating_add(part)))
}

#[cfg(test)]
mod tests;

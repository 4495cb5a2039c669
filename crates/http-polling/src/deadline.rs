//! Deadlines that a caller sets: `Cancel-After`, and gRPC's `grpc-timeout`.

use std::{error::Error, fmt, time::Duration};

use http::{HeaderMap, HeaderName};

use crate::digits;

/// `Cancel-After`, the longest time that the work may take, as in Replicate's HTTP API.
///
/// ```
/// assert_eq!(http_polling::CANCEL_AFTER, "cancel-after");
/// ```
pub const CANCEL_AFTER: HeaderName = HeaderName::from_static("cancel-after");

/// `grpc-timeout`, the deadline of a call in the gRPC protocol over HTTP/2.
///
/// ```
/// assert_eq!(http_polling::GRPC_TIMEOUT, "grpc-timeout");
/// ```
pub const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Reads the time limit of [`CANCEL_AFTER`].
///
/// The value is a number of seconds, or numbers with units such as `90s`, `5m` or `1h30m`. A number
/// that is too large becomes the largest possible. Returns `None` if the field is absent.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use http_polling::{CANCEL_AFTER, cancel_after};
/// use std::time::Duration;
///
/// let mut headers = HeaderMap::new();
/// assert_eq!(cancel_after(&headers), Ok(None));
/// headers.insert(CANCEL_AFTER, HeaderValue::from_static("1m30s"));
/// assert_eq!(cancel_after(&headers), Ok(Some(Duration::from_secs(90))));
/// ```
///
/// # Errors
///
/// Fails if the value has another form, or if the field occurs more than once.
pub fn cancel_after(headers: &HeaderMap) -> Result<Option<Duration>, InvalidCancelAfter> {
    let mut values = headers.get_all(CANCEL_AFTER).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(InvalidCancelAfter(()));
    }
    let text = value.to_str().map_err(|_| InvalidCancelAfter(()))?.trim();
    if let Some(seconds) = digits::parse_saturating(text.bytes()) {
        return Ok(Some(Duration::from_secs(seconds)));
    }
    match humantime::parse_duration(text) {
        Ok(duration) => Ok(Some(duration)),
        Err(humantime::DurationError::NumberOverflow) => Ok(Some(Duration::MAX)),
        Err(_) => Err(InvalidCancelAfter(())),
    }
}

/// The error of a `Cancel-After` that is not a duration.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use http_polling::{CANCEL_AFTER, cancel_after};
///
/// let mut headers = HeaderMap::new();
/// headers.insert(CANCEL_AFTER, HeaderValue::from_static("soon"));
/// let error = cancel_after(&headers).unwrap_err();
/// assert_eq!(error.to_string(), "cancel-after is not a duration such as 90 or 1m30s");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidCancelAfter(());

impl fmt::Display for InvalidCancelAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancel-after is not a duration such as 90 or 1m30s")
    }
}

impl Error for InvalidCancelAfter {}

/// Parses a [`GRPC_TIMEOUT`]: one to eight digits and a unit.
///
/// Returns `None` if the value has another form.
///
/// ```
/// use http_polling::grpc_timeout;
/// use std::time::Duration;
///
/// assert_eq!(grpc_timeout("250m"), Some(Duration::from_millis(250)));
/// assert_eq!(grpc_timeout("1.5S"), None);
/// ```
pub fn grpc_timeout(value: impl AsRef<[u8]>) -> Option<Duration> {
    /// The most digits that the gRPC protocol allows.
    const MAX_DIGITS: usize = 8;

    let (unit, digits) = value.as_ref().split_last()?;
    if digits.len() > MAX_DIGITS {
        return None;
    }
    let amount = digits::parse_saturating(digits.iter().copied())?;
    match unit {
        b'H' => Some(Duration::from_secs(amount * 60 * 60)),
        b'M' => Some(Duration::from_secs(amount * 60)),
        b'S' => Some(Duration::from_secs(amount)),
        b'm' => Some(Duration::from_millis(amount)),
        b'u' => Some(Duration::from_micros(amount)),
        b'n' => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

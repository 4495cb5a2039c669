//! `grpc-timeout`, the deadline that a gRPC caller gives its call.

use std::time::Duration;

/// The most digits that the gRPC protocol allows.
const MAX_DIGITS: usize = 8;

/// The duration that `value` tells: one to eight digits and a unit. `None`
/// for anything else.
pub(crate) fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount = digits
        .iter()
        .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
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
mod tests {
    use super::*;

    fn parse_text(text: &str) -> Option<Duration> {
        parse(text.as_bytes())
    }

    #[test]
    fn every_unit_is_read() {
        assert_eq!(parse_text("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(parse_text("3M"), Some(Duration::from_secs(180)));
        assert_eq!(parse_text("4S"), Some(Duration::from_secs(4)));
        assert_eq!(parse_text("5m"), Some(Duration::from_millis(5)));
        assert_eq!(parse_text("6u"), Some(Duration::from_micros(6)));
        assert_eq!(parse_text("7n"), Some(Duration::from_nanos(7)));
    }

    #[test]
    fn longest_value_does_not_overflow() {
        let hours = Duration::from_secs(99_999_999 * 3600);
        assert_eq!(parse_text("99999999H"), Some(hours));
    }

    #[test]
    fn anything_else_is_no_timeout() {
        for text in ["", "S", "5", "5s", "-5S", "1.5S", "123456789S", "5 S"] {
            assert_eq!(parse_text(text), None, "{text:?}");
        }
    }
}

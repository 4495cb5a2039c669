//! Decimal numbers in header fields.

/// Parses `1*DIGIT`.
///
/// Returns `None` for any other text, including the empty one. A number that
/// is too large for `u64` becomes `u64::MAX`.
pub(crate) fn parse_saturating(text: impl IntoIterator<Item = u8>) -> Option<u64> {
    let mut number = None;
    for byte in text {
        if !byte.is_ascii_digit() {
            return None;
        }
        let digit = u64::from(byte - b'0');
        number = Some(
            number
                .unwrap_or(0_u64)
                .saturating_mul(10)
                .saturating_add(digit),
        );
    }
    number
}

#[cfg(test)]
mod tests;

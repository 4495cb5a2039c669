//! Numbers and addresses as text, without the costs of format strings: several are written for each
//! request.

use std::{fmt::Write, net::IpAddr};

/// Appends a number in decimal digits, of which there are at least `least`.
pub(crate) fn push_decimal(text: &mut String, mut number: u64, least: usize) {
    let mut digits = [b'0'; 20];
    let mut begin = digits.len();
    while number > 0 || digits.len() - begin < least {
        begin -= 1;
        digits[begin] += (number % 10) as u8;
        number /= 10;
    }
    // They are few.
    text.extend(digits[begin..].iter().map(|digit| char::from(*digit)));
}

/// Appends the last `count` digits of a number in hexadecimal.
pub(crate) fn push_hexadecimal(text: &mut String, number: u128, count: usize) {
    let mut digits = [0; 32];
    for (place, digit) in digits.iter_mut().rev().take(count).enumerate() {
        *digit = b"0123456789abcdef"[(number >> (4 * place)) as usize & 0xf];
    }
    text.push_str(str::from_utf8(&digits[32 - count..]).unwrap_or_default());
}

/// Appends an address.
pub(crate) fn push_address(text: &mut String, address: IpAddr) {
    let IpAddr::V4(address) = address else {
        // A string takes all that is written.
        let _ = write!(text, "{address}");
        return;
    };
    for (place, octet) in address.octets().into_iter().enumerate() {
        if place > 0 {
            text.push('.');
        }
        push_decimal(text, octet.into(), 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(push: impl FnOnce(&mut String)) -> String {
        let mut text = String::new();
        push(&mut text);
        text
    }

    #[test]
    fn decimal_digits_are_padded() {
        for (number, least, expected) in [
            (0, 1, "0"),
            (7, 3, "007"),
            (1234, 3, "1234"),
            (u64::MAX, 1, "18446744073709551615"),
        ] {
            assert_eq!(written(|text| push_decimal(text, number, least)), expected);
        }
    }

    #[test]
    fn hexadecimal_digits_are_as_many_as_asked_for() {
        let handle = written(|text| push_hexadecimal(text, 0x9f2c, 16));
        assert_eq!(handle, "0000000000009f2c");
        let all = written(|text| push_hexadecimal(text, u128::MAX, 32));
        assert_eq!(all, "f".repeat(32));
    }

    #[test]
    fn addresses_are_written_as_by_the_standard_library() {
        for address in ["0.0.0.0", "192.0.2.10", "255.255.255.255", "2001:db8::1"] {
            let parsed = address.parse().unwrap();
            assert_eq!(written(|text| push_address(text, parsed)), address);
        }
    }
}

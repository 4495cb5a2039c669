//! The secrets in the URLs of runs.

use std::fmt;

use crate::text::push_hexadecimal;

/// The secret of a URL: the number of its run, and 80 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token(u128);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Token {
    /// The number of random bits.
    const SECRET: u32 = 80;
    /// The bits of a number, the others.
    pub(super) const NUMBERS: u64 = (1 << (u128::BITS - Self::SECRET)) - 1;

    /// The number of digits.
    pub(super) const LENGTH: usize = 32;

    pub(super) fn random() -> Self {
        Self(rand::random())
    }

    /// Reads the last segment of a URL.
    pub(super) fn of(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let has_form = text.len() == Self::LENGTH && text.bytes().all(is_digit);
        let token = has_form.then(|| u128::from_str_radix(text, 16));
        token?.ok().map(Self)
    }

    /// Appends it as the last segment of a URL.
    pub(super) fn push_to(self, url: &mut String) {
        push_hexadecimal(url, self.0, Self::LENGTH);
    }

    pub(super) fn with_number(self, number: u64) -> Self {
        let secret = self.0 & (u128::MAX >> (u128::BITS - Self::SECRET));
        Self(u128::from(number) << Self::SECRET | secret)
    }

    pub(super) fn number(self) -> u64 {
        (self.0 >> Self::SECRET) as u64
    }

    pub(super) fn following(number: u64) -> u64 {
        number.wrapping_add(1) & Self::NUMBERS
    }
}

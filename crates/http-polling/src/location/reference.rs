//! The first pass over a reference, which refuses invalid characters and finds
//! out whether the reference needs escaping or merging.

use std::{borrow::Cow, fmt::Write, ops::Range};

use super::error::LocationError;

/// The outcome of one pass over a reference.
pub(super) struct Scan {
    /// The index of the fragment, or the reference's length if it has none.
    pub(super) end: usize,
    /// `true` if a URI may contain every character before `end` outside its
    /// authority, and the path has no dot segments, percent-encoded or not.
    pub(super) is_literal: bool,
}

impl Scan {
    /// Fails for control characters and broken percent-encoding.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, LocationError> {
        let mut is_literal = true;
        let mut in_query = false;
        let is_special = |byte: &u8| !PLAIN[usize::from(*byte)];
        let begins_segment =
            |index: usize, in_query: bool| !in_query && bytes[..index].ends_with(b"/");
        let mut next = 0;
        while let Some(plain) = bytes[next..].iter().position(is_special) {
            let index = next + plain;
            next = index + 1;
            match bytes[index] {
                0..0x20 | 0x7f => return Err(LocationError::Syntax),
                b'#' => {
                    return match bytes[index..].iter().any(u8::is_ascii_control) {
                        true => Err(LocationError::Syntax),
                        false => Ok(Self {
                            end: index,
                            is_literal,
                        }),
                    };
                }
                b'%' => match bytes.get(index + 1..index + 3) {
                    Some(b"2e" | b"2E") => is_literal &= !begins_segment(index, in_query),
                    Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => {}
                    _ => return Err(LocationError::Syntax),
                },
                b'?' => in_query = true,
                b'.' => is_literal &= !begins_segment(index, in_query),
                _ => is_literal = false,
            }
        }
        Ok(Self {
            end: bytes.len(),
            is_literal,
        })
    }
}

/// The characters of a URI that [`Scan`] passes over.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        plain[byte as usize] = is_uri_character(byte) && !matches!(byte, b'%' | b'?' | b'.');
        byte += 1;
    }
    plain
};

/// Returns whether RFC 3986 allows `byte` in a path or a query. Square brackets
/// are allowed in hosts only.
const fn is_uri_character(byte: u8) -> bool {
    matches!(
        byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~'
        | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
        | b':' | b'@' | b'/' | b'?' | b'%'
    )
}

/// Converts `reference` to text. If it is not UTF-8, each byte that is not ASCII
/// is percent-encoded.
pub(super) fn text(reference: &[u8]) -> Cow<'_, str> {
    str::from_utf8(reference).map_or_else(
        |_| {
            let mut text = String::with_capacity(reference.len() + 16);
            for &byte in reference {
                push(&mut text, byte, byte.is_ascii());
            }
            Cow::Owned(text)
        },
        Cow::Borrowed,
    )
}

/// Appends `byte`, percent-encoded unless `stays` is set.
fn push(text: &mut String, byte: u8, stays: bool) {
    if stays {
        text.push(char::from(byte));
    } else {
        write!(text, "%{byte:02X}").expect("writing to a string does not fail");
    }
}

/// Percent-encodes the characters of `reference` that a URI may not contain.
///
/// An authority with such characters becomes an invalid host. The brackets of
/// an address are kept.
pub(super) fn escaped(reference: &str) -> Cow<'_, str> {
    encode(reference, authority_range(reference))
}

/// Percent-encodes the characters of a path or a query that a URI may not
/// contain.
pub(super) fn escaped_path(path: &str) -> Cow<'_, str> {
    encode(path, 0..0)
}

fn encode(text: &str, authority: Range<usize>) -> Cow<'_, str> {
    let stays = |(index, byte): (usize, u8)| {
        is_uri_character(byte) || (matches!(byte, b'[' | b']') && authority.contains(&index))
    };
    if text.bytes().enumerate().all(stays) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() + 16);
    for (index, byte) in text.bytes().enumerate() {
        push(&mut encoded, byte, stays((index, byte)));
    }
    Cow::Owned(encoded)
}

/// The range of the authority. It follows the first `//`, if that begins the
/// reference or follows the scheme.
fn authority_range(reference: &str) -> Range<usize> {
    let start = match reference.find("//") {
        Some(0) => 2,
        Some(slashes) if reference.find([':', '/', '?']) == Some(slashes - 1) => slashes + 2,
        _ => return 0..0,
    };
    let length = reference[start..].find(['/', '?']);
    start..length.map_or(reference.len(), |length| start + length)
}

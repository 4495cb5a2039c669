//! A first look at a reference: what must be refused whatever it means, and
//! whether there is anything to mend or to merge.

use std::{borrow::Cow, fmt::Write, ops::Range};

use super::error::LocationError;

/// What one pass over a reference tells.
pub(super) struct Scan {
    /// Where the fragment begins, else the reference's length.
    pub(super) end: usize,
    /// All characters up to there are ones that a URI may have outside its
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

/// The characters of a URI that mean nothing to [`Scan`].
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        plain[byte as usize] = is_uri_character(byte) && !matches!(byte, b'%' | b'?' | b'.');
        byte += 1;
    }
    plain
};

/// Whether RFC 3986 allows `byte` in a path or a query. (Square brackets
/// belong to hosts alone.)
const fn is_uri_character(byte: u8) -> bool {
    matches!(
        byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~'
        | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
        | b':' | b'@' | b'/' | b'?' | b'%'
    )
}

/// `reference` as text. If it is no UTF-8, the bytes that are not ASCII are
/// percent-encoded as they are.
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

/// Adds `byte`, percent-encoded unless it `stays`.
fn push(text: &mut String, byte: u8, stays: bool) {
    if stays {
        text.push(char::from(byte));
    } else {
        write!(text, "%{byte:02X}").expect("writing to a string does not fail");
    }
}

/// `reference` with what a URI cannot have percent-encoded. In an authority
/// the outcome is no host, save for the brackets of an address.
pub(super) fn escaped(reference: &str) -> Cow<'_, str> {
    encode(reference, authority_range(reference))
}

/// The same for a path or a query alone.
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

/// Where the authority stands: behind the first `//`, if that begins the
/// reference or follows its scheme.
fn authority_range(reference: &str) -> Range<usize> {
    let start = match reference.find("//") {
        Some(0) => 2,
        Some(slashes) if reference.find([':', '/', '?']) == Some(slashes - 1) => slashes + 2,
        _ => return 0..0,
    };
    let length = reference[start..].find(['/', '?']);
    start..length.map_or(reference.len(), |length| start + length)
}

//! What reading a JSON document can end in.

use std::{error::Error, fmt};

use serde::de::DeserializeOwned;

/// `json` without the byte order mark that some servers put before it (RFC
/// 8259, section 8.1).
///
/// ```
/// use http_polling::without_byte_order_mark;
///
/// assert_eq!(without_byte_order_mark(b"\xef\xbb\xbf{}"), b"{}");
/// ```
#[must_use]
pub fn without_byte_order_mark(json: &[u8]) -> &[u8] {
    json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json)
}

/// Reads a JSON document that is `expected`.
pub(crate) fn read<T: DeserializeOwned>(
    json: &[u8],
    expected: &'static str,
) -> Result<T, InvalidDocument> {
    serde_json::from_slice(without_byte_order_mark(json))
        .map_err(|source| InvalidDocument { expected, source })
}

/// The bytes are not the JSON document that was expected.
///
/// The reason is its [`source`](Error::source).
///
/// ```
/// use http_polling::StatusDocument;
///
/// let error = StatusDocument::from_json(b"<html>").unwrap_err();
/// assert_eq!(error.to_string(), "not a status document");
/// ```
#[derive(Debug)]
pub struct InvalidDocument {
    expected: &'static str,
    source: serde_json::Error,
}

impl fmt::Display for InvalidDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a {}", self.expected)
    }
}

impl Error for InvalidDocument {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

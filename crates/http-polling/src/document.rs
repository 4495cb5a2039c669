//! Parsing of JSON documents.

use std::{error::Error, fmt};

use serde::de::DeserializeOwned;

/// Returns `json` without its byte order mark, if there is one.
///
/// Some servers put one before a document, and RFC 8259, section 8.1, allows
/// readers to ignore it.
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

/// Parses a JSON document. `expected` is its kind, for the error's message.
pub(crate) fn read<T: DeserializeOwned>(
    json: &[u8],
    expected: &'static str,
) -> Result<T, InvalidDocument> {
    serde_json::from_slice(without_byte_order_mark(json))
        .map_err(|source| InvalidDocument { expected, source })
}

/// The error of bytes that are not the expected JSON document.
///
/// Its [`source`](Error::source) is the reason.
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

//! What reading a JSON document can end in.

use std::{error::Error, fmt};

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

impl InvalidDocument {
    pub(crate) fn new(expected: &'static str, source: serde_json::Error) -> Self {
        Self { expected, source }
    }
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

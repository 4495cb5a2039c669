//! Unreadable answers.

use std::{error, fmt};

use http_polling::{InvalidDocument, LocationError};

/// An answer that does not have the form of its [`Dialect`](super::Dialect).
///
/// ```
/// use tower_poll::dialect::DialectError;
///
/// let error = DialectError::missing("`status`");
/// assert_eq!(error.to_string(), "the status document lacks `status`");
/// ```
#[derive(Debug)]
pub struct DialectError(Kind);

#[derive(Debug)]
enum Kind {
    Location(LocationError),
    Json(serde_json::Error),
    Document(InvalidDocument),
    Missing(&'static str),
    Mistyped(&'static str, &'static str),
    Body,
    Coding,
    Gone,
}

impl DialectError {
    /// An absent part of the answer.
    #[must_use]
    pub fn missing(what: &'static str) -> Self {
        Self(Kind::Missing(what))
    }

    /// A part of the answer with another type than `expected`.
    ///
    /// ```
    /// use tower_poll::dialect::DialectError;
    ///
    /// let error = DialectError::mistyped("status", "a string");
    /// assert_eq!(error.to_string(), "`status` in the answer is not a string");
    /// ```
    #[must_use]
    pub fn mistyped(what: &'static str, expected: &'static str) -> Self {
        Self(Kind::Mistyped(what, expected))
    }

    /// The body is too long, or broke off.
    pub(crate) fn body() -> Self {
        Self(Kind::Body)
    }

    /// The body has a content coding that cannot be removed.
    pub(crate) fn coding() -> Self {
        Self(Kind::Coding)
    }

    /// The answer is the response, and its body has been read.
    pub(crate) fn gone() -> Self {
        Self(Kind::Gone)
    }
}

impl From<LocationError> for DialectError {
    fn from(error: LocationError) -> Self {
        Self(Kind::Location(error))
    }
}

impl From<serde_json::Error> for DialectError {
    fn from(error: serde_json::Error) -> Self {
        Self(Kind::Json(error))
    }
}

impl From<InvalidDocument> for DialectError {
    fn from(error: InvalidDocument) -> Self {
        Self(Kind::Document(error))
    }
}

impl fmt::Display for DialectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Location(_) => f.write_str("a URL in the answer cannot be used"),
            Kind::Json(_) => f.write_str("the status document is not JSON"),
            Kind::Document(_) => f.write_str("the answer's body cannot be read"),
            Kind::Gone => f.write_str(
                "the response was read as a status document, and cannot be fetched again",
            ),
            Kind::Body => f.write_str("the status document is too long, or its body broke off"),
            Kind::Coding => {
                f.write_str("the status document has a content coding that cannot be decoded")
            }
            Kind::Missing(what) => write!(f, "the status document lacks {what}"),
            Kind::Mistyped(what, expected) => {
                write!(f, "`{what}` in the answer is not {expected}")
            }
        }
    }
}

impl error::Error for DialectError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.0 {
            Kind::Location(error) => Some(error),
            Kind::Json(error) => Some(error),
            Kind::Document(error) => Some(error),
            Kind::Missing(_) | Kind::Mistyped(..) | Kind::Body | Kind::Coding | Kind::Gone => None,
        }
    }
}

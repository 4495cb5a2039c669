//! Why an answer cannot be read.

use std::{error, fmt};

use http_polling::LocationError;

/// An answer is not what its [`Dialect`](super::Dialect) has.
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
    Missing(&'static str),
    Body,
}

impl DialectError {
    /// Something that the answer must have is not there.
    #[must_use]
    pub fn missing(what: &'static str) -> Self {
        Self(Kind::Missing(what))
    }
}

impl DialectError {
    /// The body is too long, or broke off.
    pub(crate) fn body() -> Self {
        Self(Kind::Body)
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

impl fmt::Display for DialectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Location(_) => f.write_str("a URL in the answer cannot be used"),
            Kind::Json(_) => f.write_str("the status document is not JSON"),
            Kind::Body => f.write_str("the status document is too long or broke off"),
            Kind::Missing(what) => write!(f, "the status document lacks {what}"),
        }
    }
}

impl error::Error for DialectError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.0 {
            Kind::Location(error) => Some(error),
            Kind::Json(error) => Some(error),
            Kind::Missing(_) | Kind::Body => None,
        }
    }
}

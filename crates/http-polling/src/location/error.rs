//! The error of a location that cannot be used.

use std::{error::Error, fmt};

/// The reason that a response's `Location` or `Content-Location` gives no URI.
///
/// ```
/// use http::Uri;
/// use http_polling::{LocationError, resolve};
///
/// let base = Uri::from_static("https://example.com/");
/// let error = resolve(&base, "https://me@example.com/").unwrap_err();
/// assert_eq!(error, LocationError::UserInfo);
/// assert_eq!(error.to_string(), "location has a user name");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LocationError {
    /// The field is required and missing, or it is empty.
    Missing,
    /// The field occurs more than once with different values.
    Duplicate,
    /// The reference is longer than [`MAX_LOCATION`](crate::MAX_LOCATION).
    TooLong,
    /// The scheme is neither http nor https.
    Scheme,
    /// A user name, and possibly a password, precedes the host.
    UserInfo,
    /// The host is missing, or is neither a host name nor an address.
    Host,
    /// The value is not a URI reference: it has control characters, broken
    /// percent-encoding or similar errors.
    Syntax,
    /// The reference cannot be resolved against the request's URI.
    NoBase,
}

impl fmt::Display for LocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "location is missing",
            Self::Duplicate => "more than one location",
            Self::TooLong => "location is too long",
            Self::Scheme => "location is neither http nor https",
            Self::UserInfo => "location has a user name",
            Self::Host => "location has no usable host",
            Self::Syntax => "location is no URI reference",
            Self::NoBase => "location cannot be resolved against the request",
        })
    }
}

impl Error for LocationError {}

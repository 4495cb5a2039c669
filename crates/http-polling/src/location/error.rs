//! Why there is no URI to go to.

use std::{error::Error, fmt};

/// Why a response's `Location` or `Content-Location` gives no URI.
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
    /// There is none where one is needed, or it is empty.
    Missing,
    /// There is more than one, and they differ.
    Duplicate,
    /// It is longer than [`MAX_LOCATION`](crate::MAX_LOCATION).
    TooLong,
    /// Its scheme is neither http nor https.
    Scheme,
    /// It has a user name, and maybe a password, before its host.
    UserInfo,
    /// It has no host, or one that is no host name and no address.
    Host,
    /// It is no URI reference: it has control characters, broken percent
    /// encoding, or the like.
    Syntax,
    /// It cannot be resolved against the URI that it came from.
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

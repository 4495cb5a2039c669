//! The refusal of a request without a principal.

use http::StatusCode;

/// The reason why a request has no principal that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "jwt"),
    expect(dead_code, reason = "only a token is missing or invalid")
)]
pub(crate) enum Refusal {
    /// The request has no token.
    Missing,
    /// The token is not valid, or not for this gateway.
    Invalid,
    /// A trusted proxy has set several principals, or one that is no text.
    Unclear,
}

impl Refusal {
    /// Returns the value of `WWW-Authenticate` (RFC 6750, section 3): an error is named only where
    /// the request has a token. A proxy cannot be asked for another one.
    pub(crate) fn challenge(self) -> Option<&'static str> {
        match self {
            Self::Missing => Some("Bearer"),
            Self::Invalid => Some("Bearer error=\"invalid_token\""),
            Self::Unclear => None,
        }
    }

    /// Returns the status of the answer.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Missing | Self::Invalid => StatusCode::UNAUTHORIZED,
            Self::Unclear => StatusCode::BAD_REQUEST,
        }
    }

    /// Returns a text for people.
    pub(crate) fn detail(self) -> &'static str {
        match self {
            Self::Missing => "the request has no bearer token, or several",
            Self::Invalid => "the token is not valid here: it may have expired, or be for others",
            Self::Unclear => "the proxy has named no principal, or several",
        }
    }
}

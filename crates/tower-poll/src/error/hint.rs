//! Advice about frequent causes.

use std::fmt;

use http::Uri;

/// Advice that an [`Error`](crate::Error) gives with its reason, if it often
/// has the same cause. [`Display`](fmt::Display) words it without names of
/// functions, for users of programs too.
///
/// ```
/// use tower_poll::Hint;
///
/// fn advice(error: &tower_poll::Error) -> Option<String> {
///     match error.hint()? {
///         Hint::AllowOrigin(origin) => Some(format!("set `allowed = \"{origin}\"`")),
///         hint => Some(hint.to_string()),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// The job is on this origin, on which polls are not allowed: see
    /// [`StandardPolicy::cross_origin`](crate::StandardPolicy::cross_origin).
    AllowOrigin(Uri),
    /// The server announced an http URL to a client that used https. It may be
    /// behind a proxy that ends TLS, and need a public base.
    HttpsProxy,
    /// The submission's URI was path-only, and the job is on this origin: see
    /// [`PollLayer::base_origin`](crate::PollLayer::base_origin).
    BaseOrigin(Uri),
    /// Polls carry few headers of the submission. If another one is the
    /// credential, it has to be kept: see
    /// [`PollLayer::keep_header`](crate::PollLayer::keep_header).
    KeepHeader,
    /// Credentials were dropped, since a poll went to another origin than the
    /// submission.
    CredentialsDropped,
    /// The job was never found. A proxy may have stripped a prefix from the
    /// path, so that the server needs a public base.
    PublicBase,
    /// The answer came from another route of the server, or from a proxy.
    OtherRoute,
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AllowOrigin(origin) => {
                let origin = Origin(origin);
                return write!(f, "allow polls on {origin} if it is trusted");
            }
            Self::HttpsProxy => {
                "behind a proxy that ends TLS, the server needs its public base in its settings"
            }
            Self::BaseOrigin(origin) => {
                let origin = Origin(origin);
                return write!(f, "if requests go to {origin}, set it as the base origin");
            }
            Self::KeepHeader => {
                "if a header of the submission is a credential, add it to those that polls carry"
            }
            Self::CredentialsDropped => "credentials are sent to the origin of the submission only",
            Self::PublicBase => {
                "behind a proxy that strips a prefix from paths, \
                 the server needs its public base in its settings"
            }
            Self::OtherRoute => {
                "another route of the server, or a proxy, may have answered; \
                 mount the job resource before the server's fallback"
            }
        })
    }
}

/// An origin in its usual form, without a path.
struct Origin<'a>(&'a Uri);

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = self.0.scheme_str() {
            write!(f, "{scheme}://")?;
        }
        self.0
            .authority()
            .map_or(Ok(()), |authority| f.write_str(authority.as_str()))
    }
}

//! The reasons for which a request has no response.

use std::{error::Error as StdError, fmt, io, sync::Arc, time::Duration};

use hyper::client::conn::TrySendError;
use tower::BoxError;

/// A request without a response.
#[derive(Clone, Debug)]
pub(crate) struct Error {
    kind: Kind,
    source: Arc<dyn StdError + Send + Sync>,
}

/// The reason for which a request has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// There is no connection: the server refuses it, or has no address or no route.
    Refused,
    /// No connection was made in time.
    ConnectTimeout,
    /// The server's certificate is not accepted, or it does not speak TLS.
    Tls,
    /// The connection ended before the head of a response.
    Reset,
    /// The head of the response did not arrive in time.
    Timeout,
    /// The response is no HTTP.
    Unreadable,
    /// The body of the request failed. The server is not to blame.
    Body,
}

impl Error {
    pub(super) fn new(kind: Kind, source: impl Into<BoxError>) -> Self {
        Self {
            kind,
            source: Arc::from(source.into()),
        }
    }

    /// Returns the error of a response whose head has not arrived in time.
    pub(crate) fn timeout(after: Duration) -> Self {
        Self::new(Kind::Timeout, format!("no response within {after:?}"))
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }
}

impl From<hyper::Error> for Error {
    fn from(error: hyper::Error) -> Self {
        let kind = if error.is_user() {
            Kind::Body
        } else if error.is_parse()
            || is_misspoken(&error)
            || is_io(&error, io::ErrorKind::InvalidData)
        {
            Kind::Unreadable
        } else if is_io(&error, io::ErrorKind::TimedOut) {
            Kind::Timeout
        } else {
            Kind::Reset
        };
        Self::new(kind, error)
    }
}

impl<T> From<TrySendError<T>> for Error {
    fn from(error: TrySendError<T>) -> Self {
        error.into_error().into()
    }
}

/// Returns whether the peer has broken the rules of HTTP/2.
fn is_misspoken(error: &hyper::Error) -> bool {
    let mut causes = causes(error).filter_map(|cause| cause.downcast_ref::<h2::Error>());
    causes.any(|error| error.is_library() && !error.is_io())
}

/// Returns whether an error has an error of the system among its causes.
pub(super) fn is_io(error: &(dyn StdError + 'static), kind: io::ErrorKind) -> bool {
    let mut causes = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|error| error.kind() == kind)
}

fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Refused => "the server accepts no connection",
            Kind::ConnectTimeout => "no connection to the server was made in time",
            Kind::Tls => "no encrypted connection to the server can be made",
            Kind::Reset => "the server ended the connection before a response",
            Kind::Timeout => "the response did not arrive in time",
            Kind::Unreadable => "the response is no HTTP",
            Kind::Body => "the body of the request failed",
        })
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}

//! The reasons why a call for an outside party has no effect.

use std::{error::Error, fmt};

use tower::BoxError;
use tower_async_job_core::StoreError;

/// The error of a call for a run that an outside party continues.
///
/// The kind is private, so that new ones are no breaking change; check it with the `is_…` methods.
///
/// ```
/// # fn example(error: tower_async_job::OutsideError) -> http::StatusCode {
/// use http::StatusCode;
///
/// match () {
///     () if error.is_early() || error.is_unavailable() => StatusCode::SERVICE_UNAVAILABLE,
///     () if error.is_superseded() => StatusCode::CONFLICT,
///     () if error.is_too_large() => StatusCode::PAYLOAD_TOO_LARGE,
///     () if error.is_broken() => StatusCode::BAD_REQUEST,
///     () => StatusCode::GONE,
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct OutsideError(Kind);

#[derive(Debug)]
pub(super) enum Kind {
    Unknown,
    Early,
    Over,
    Cancelled,
    Superseded,
    TooLarge,
    Broken(BoxError),
    Closing,
    Unrecorded,
    Store(StoreError),
}

impl OutsideError {
    /// Returns whether the store has no job with this handle: it is forgotten, or not stored yet.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self.0, Kind::Unknown)
    }

    /// Returns whether the job is pending, but not with the party: its handler has not released it
    /// yet, or the token is not the party's.
    #[must_use]
    pub fn is_early(&self) -> bool {
        matches!(self.0, Kind::Early)
    }

    /// Returns whether the job has ended, or another attempt has begun.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.0, Kind::Over)
    }

    /// Returns whether the job was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0, Kind::Cancelled)
    }

    /// Returns whether another delivery at this node has taken the job over. One at another node is not
    /// told from a lease that ran out: the call can then be [repeated](Self::is_unavailable).
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        matches!(self.0, Kind::Superseded)
    }

    /// Returns whether the response was larger than may be kept. The job has failed, as it does
    /// if a handler's response is too large.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        matches!(self.0, Kind::TooLarge)
    }

    /// Returns whether the body of the response has failed. The job is with the party again.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        matches!(self.0, Kind::Broken(_))
    }

    /// Returns whether the call can be repeated: the store is unavailable or has no room, the lease of
    /// the delivery was lost while its job is pending, or the node shuts down.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self.0, Kind::Closing | Kind::Unrecorded | Kind::Store(_))
    }
}

impl From<Kind> for OutsideError {
    fn from(kind: Kind) -> Self {
        Self(kind)
    }
}

impl From<StoreError> for OutsideError {
    fn from(error: StoreError) -> Self {
        Self(Kind::Store(error))
    }
}

impl fmt::Display for OutsideError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Unknown => "no job has this handle",
            Kind::Early => "the job is not with this party, or not yet",
            Kind::Over => "the job has ended, or another attempt has begun",
            Kind::Cancelled => "the job was cancelled",
            Kind::Superseded => "another delivery has taken the job over",
            Kind::TooLarge => "the response is larger than may be kept, so the job has failed",
            Kind::Broken(_) => "the body of the response broke off",
            Kind::Closing => "the node shuts down",
            Kind::Unrecorded => "the response could not be recorded",
            Kind::Store(_) => "the job store failed",
        })
    }
}

impl Error for OutsideError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Kind::Broken(error) => Some(&**error),
            Kind::Store(error) => Some(error),
            _ => None,
        }
    }
}

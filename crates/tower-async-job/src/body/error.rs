use std::{error::Error, fmt};

use tower::BoxError;
use tower_async_job_core::StoreError;

/// The error of a [`ResponseBody`](crate::ResponseBody).
///
/// It has no type parameter for the handler's error: many bodies fail with a [`BoxError`], which is
/// not an [`Error`], as servers require.
///
/// ```
/// use std::error::Error;
/// use tower_async_job::{BodyError, store::StoreError};
///
/// let error = BodyError::Store(StoreError::unavailable("connection refused"));
/// assert_eq!(error.to_string(), "the stored result could not be read to its end");
/// assert!(error.source().is_some());
/// ```
#[non_exhaustive]
#[derive(Debug)]
pub enum BodyError {
    /// The handler's own body failed.
    Inner(BoxError),
    /// A part of a stored result could not be read. Earlier parts are sent already, so the server
    /// aborts the answer.
    Store(StoreError),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inner(_) => "the body of the handler's response failed",
            Self::Store(_) => "the stored result could not be read to its end",
        })
    }
}

impl Error for BodyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(match self {
            Self::Inner(error) => &**error,
            Self::Store(error) => error,
        })
    }
}

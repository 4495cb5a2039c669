//! The state of a job, and `Job-Status`, the header field that carries it.

use std::{error::Error, fmt, str::FromStr};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

/// `Job-Status`, which every answer of a job resource carries.
///
/// A recognised value decides whether a response is pending or final. It takes
/// precedence over the status code.
///
/// ```
/// use http::HeaderMap;
/// use http_polling::{JOB_STATUS, JobState};
///
/// let mut headers = HeaderMap::new();
/// headers.insert(JOB_STATUS, JobState::Running.header_value());
/// assert_eq!(headers["job-status"], "running");
/// ```
pub const JOB_STATUS: HeaderName = HeaderName::from_static("job-status");

/// The state of a job.
///
/// A job is *pending* while it is [`Queued`](Self::Queued) or
/// [`Running`](Self::Running), and *final* in every other state.
///
/// ```
/// use http_polling::JobState;
///
/// let state: JobState = "timed-out".parse().unwrap();
/// assert_eq!(state, JobState::TimedOut);
/// assert!(state.is_final());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum JobState {
    /// The job is accepted, and its handler has not started.
    Queued,
    /// The handler is running.
    Running,
    /// The handler answered, with a response of any status code.
    Done,
    /// The job ended without the handler's answer: the handler panicked, its
    /// service failed, or its response could not be stored.
    Failed,
    /// The job was stopped at its deadline.
    TimedOut,
    /// The worker that ran the job is gone, and the job may not run again.
    Lost,
    /// The job was cancelled on request.
    Cancelled,
    /// The job ended, and its result is no longer stored.
    Expired,
    /// The job does not exist, or the client may not see it.
    Unknown,
}

impl JobState {
    const ALL: [Self; 9] = [
        Self::Queued,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::TimedOut,
        Self::Lost,
        Self::Cancelled,
        Self::Expired,
        Self::Unknown,
    ];

    /// Returns the name of this state in `Job-Status` and in status documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::Lost => "lost",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
        }
    }

    /// Returns whether the job is queued or running.
    #[must_use]
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }

    /// Returns whether the job has ended or is unknown.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !self.is_pending()
    }

    /// Returns the value of [`JOB_STATUS`] for this state. Does not allocate.
    #[must_use]
    pub const fn header_value(self) -> HeaderValue {
        HeaderValue::from_static(self.as_str())
    }

    /// Reads the state from [`JOB_STATUS`] in `headers`.
    ///
    /// Returns `None` if the field is missing, is not recognised, or occurs
    /// more than once with different values.
    ///
    /// ```
    /// use http::{HeaderMap, HeaderValue};
    /// use http_polling::{JOB_STATUS, JobState};
    ///
    /// let mut headers = HeaderMap::new();
    /// headers.append(JOB_STATUS, HeaderValue::from_static("done"));
    /// assert_eq!(JobState::from_headers(&headers), Some(JobState::Done));
    /// headers.append(JOB_STATUS, HeaderValue::from_static("running"));
    /// assert_eq!(JobState::from_headers(&headers), None);
    /// ```
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(JOB_STATUS).iter();
        let first = values.next()?;
        if values.all(|value| value == first) {
            Self::from_bytes(first.as_bytes())
        } else {
            None
        }
    }

    pub(crate) fn from_bytes(text: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str().as_bytes() == text)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for JobState {
    type Err = ParseJobStateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_bytes(text.as_bytes()).ok_or(ParseJobStateError(()))
    }
}

/// The error of a text that names no [`JobState`].
///
/// ```
/// use http_polling::JobState;
///
/// assert!("Done".parse::<JobState>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseJobStateError(());

impl fmt::Display for ParseJobStateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unrecognised job state")
    }
}

impl Error for ParseJobStateError {}

#[cfg(test)]
mod tests;

//! `Job-Status`: the state of a job, and the header field that carries it.

use std::{error::Error, fmt, str::FromStr};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

/// `Job-Status`, which stands on every answer of a job resource.
///
/// Where it is present and recognised, it alone decides whether a response is
/// pending or final, whatever the status code.
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

/// Where a job stands.
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
    /// Accepted, and waiting to be started.
    Queued,
    /// Its handler is at work.
    Running,
    /// The handler answered. The response is the handler's own, whatever its
    /// status code.
    Done,
    /// There is no answer of the handler: it panicked, its service failed, or
    /// its response could not be kept.
    Failed,
    /// Stopped at its deadline.
    TimedOut,
    /// The worker that ran it is gone, and it may not be run again.
    Lost,
    /// Stopped because somebody asked for it.
    Cancelled,
    /// It ended, and its result is no longer kept.
    Expired,
    /// There is no such job, or none that the asker may know of.
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

    /// The word for this state in `Job-Status` and in status documents.
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

    /// Whether the job has yet to end: it is queued or running.
    #[must_use]
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }

    /// Whether there is nothing left to wait for.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !self.is_pending()
    }

    /// The value of [`JOB_STATUS`] for this state. Does not allocate.
    #[must_use]
    pub const fn header_value(self) -> HeaderValue {
        HeaderValue::from_static(self.as_str())
    }

    /// The state that `headers` tell by [`JOB_STATUS`].
    ///
    /// `None` where the field is missing, is not recognised, or is there
    /// several times with differing values.
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

/// The text names no [`JobState`].
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

//! The JSON document that describes the state of a job.

mod borrowed;
mod json;

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::borrowed::{JsonRef, StatusDocumentRef};
use crate::{
    document::{self, InvalidDocument},
    job_state::JobState,
    progress::Progress,
    rounding::whole_millis,
    timestamp,
};

/// The state of a job, in the body of pending answers and of the status
/// resource. Its media type is [`JSON`](crate::JSON).
///
/// Serialization omits absent members, and deserialization ignores unknown
/// ones. Times are RFC 3339 text in UTC, truncated to milliseconds. A time
/// before 1970 or after the year 9999 is omitted. A text that is not a time is
/// read as an absent time.
///
/// ```
/// use http_polling::{JobState, Progress, StatusDocument};
///
/// let mut document = StatusDocument::new("8f14", JobState::Running);
/// document.attempt = 1;
/// document.progress = Some(Progress::fraction(0.5));
/// assert_eq!(
///     String::from_utf8(document.to_json()).unwrap(),
///     r#"{"id":"8f14","state":"running","attempt":1,"progress":{"fraction":0.5}}"#,
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StatusDocument {
    /// The job's identifier, the one in its URL.
    pub id: String,
    /// The state of the job.
    pub state: JobState,
    /// The time at which the job was accepted.
    #[serde(default, with = "timestamp")]
    #[serde(skip_serializing_if = "timestamp::is_unwritable")]
    pub created: Option<SystemTime>,
    /// The time of the handler's last start.
    #[serde(default, with = "timestamp")]
    #[serde(skip_serializing_if = "timestamp::is_unwritable")]
    pub started: Option<SystemTime>,
    /// The time at which the job ended.
    #[serde(default, with = "timestamp")]
    #[serde(skip_serializing_if = "timestamp::is_unwritable")]
    pub ended: Option<SystemTime>,
    /// The number of times that the handler was started, 0 before the first.
    #[serde(default)]
    pub attempt: u32,
    /// The delay before the next poll, in milliseconds. Only pending jobs have
    /// one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The progress that the handler reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The available part of the result, in the handler's own format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<Value>,
    /// Information about the job that the handler published, in its own format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
}

impl StatusDocument {
    /// Creates a document with only the job's identifier and state.
    ///
    /// ```
    /// use http_polling::{JobState, StatusDocument};
    ///
    /// let document = StatusDocument::new("8f14", JobState::Queued);
    /// assert_eq!(document.attempt, 0);
    /// assert_eq!(document.progress, None);
    /// ```
    #[must_use]
    pub fn new(id: impl Into<String>, state: JobState) -> Self {
        Self {
            id: id.into(),
            state,
            created: None,
            started: None,
            ended: None,
            attempt: 0,
            retry_after_ms: None,
            progress: None,
            partial: None,
            metadata: None,
        }
    }

    /// Sets [`retry_after_ms`](Self::retry_after_ms), rounded up to the
    /// millisecond.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.retry_after_ms = Some(whole_millis(delay));
        self
    }

    /// Returns the delay before the next poll.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after_ms.map(Duration::from_millis)
    }

    /// Serializes the document as JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        self.borrowed().to_json()
    }

    /// Borrows the document's members.
    ///
    /// ```
    /// use http_polling::{JobState, StatusDocument};
    ///
    /// let document = StatusDocument::new("8f14", JobState::Queued);
    /// assert_eq!(document.borrowed().id, "8f14");
    /// ```
    #[must_use]
    pub fn borrowed(&self) -> StatusDocumentRef<'_> {
        StatusDocumentRef {
            id: &self.id,
            state: self.state,
            created: self.created,
            started: self.started,
            ended: self.ended,
            attempt: self.attempt,
            retry_after_ms: self.retry_after_ms,
            progress: self.progress.as_ref(),
            partial: self.partial.as_ref().map(JsonRef::Value),
            metadata: self.metadata.as_ref().map(JsonRef::Object),
        }
    }

    /// Parses a document. A byte order mark before it is skipped.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not a JSON object with an `id` and a known
    /// [`JobState`] as `state`, or if another known member has the wrong type.
    ///
    /// ```
    /// use http_polling::{JobState, StatusDocument};
    ///
    /// let document =
    ///     StatusDocument::from_json(br#"{"id":"8f14","state":"done","novel":true}"#).unwrap();
    /// assert_eq!(document.state, JobState::Done);
    /// ```
    pub fn from_json(json: &[u8]) -> Result<Self, InvalidDocument> {
        document::read(json, "status document")
    }
}

#[cfg(test)]
mod tests;

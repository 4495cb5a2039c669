//! A status document with borrowed members.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::{job_state::JobState, progress::Progress, rounding::whole_millis};

/// A [`StatusDocument`](crate::StatusDocument) with borrowed members, which is
/// serialized without copying them.
///
/// ```
/// use http_polling::{JobState, StatusDocumentRef};
///
/// let mut document = StatusDocumentRef::new("8f14", JobState::Queued);
/// document.retry_after_ms = Some(1_000);
/// assert_eq!(
///     document.to_json(),
///     br#"{"id":"8f14","state":"queued","attempt":0,"retry_after_ms":1000}"#,
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct StatusDocumentRef<'a> {
    /// The same as [`StatusDocument::id`](crate::StatusDocument::id).
    pub id: &'a str,
    /// The same as [`StatusDocument::state`](crate::StatusDocument::state).
    pub state: JobState,
    /// The same as [`StatusDocument::created`](crate::StatusDocument::created).
    pub created: Option<SystemTime>,
    /// The same as [`StatusDocument::started`](crate::StatusDocument::started).
    pub started: Option<SystemTime>,
    /// The same as [`StatusDocument::ended`](crate::StatusDocument::ended).
    pub ended: Option<SystemTime>,
    /// The same as [`StatusDocument::attempt`](crate::StatusDocument::attempt).
    pub attempt: u32,
    /// The same as [`StatusDocument::retry_after_ms`](crate::StatusDocument::retry_after_ms).
    pub retry_after_ms: Option<u64>,
    /// The same as [`StatusDocument::progress`](crate::StatusDocument::progress).
    pub progress: Option<&'a Progress>,
    /// The same as [`StatusDocument::partial`](crate::StatusDocument::partial).
    pub partial: Option<JsonRef<'a>>,
    /// The same as [`StatusDocument::metadata`](crate::StatusDocument::metadata).
    pub metadata: Option<JsonRef<'a>>,
}

/// A borrowed member of a [`StatusDocumentRef`].
///
/// ```
/// use http_polling::{JobState, JsonRef, StatusDocumentRef};
///
/// let mut document = StatusDocumentRef::new("8f14", JobState::Queued);
/// document.partial = Some(JsonRef::Text(b"[1,2]"));
/// assert_eq!(
///     document.to_json(),
///     br#"{"id":"8f14","state":"queued","attempt":0,"partial":[1,2]}"#,
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum JsonRef<'a> {
    /// Any value.
    Value(&'a Value),
    /// An object.
    Object(&'a Map<String, Value>),
    /// The JSON text of a value, which is written unchanged. Text that is not
    /// JSON makes the document unreadable.
    Text(&'a [u8]),
}

impl<'a> StatusDocumentRef<'a> {
    /// Creates a document with only the job's identifier and state.
    ///
    /// ```
    /// use http_polling::{JobState, StatusDocumentRef};
    ///
    /// let document = StatusDocumentRef::new("8f14", JobState::Queued);
    /// assert_eq!(document.attempt, 0);
    /// ```
    #[must_use]
    pub fn new(id: &'a str, state: JobState) -> Self {
        Self {
            id,
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
}

//! The view of an answer that a dialect gets.

use std::{fmt, time::Duration};

use http::{
    HeaderMap, HeaderName, Method, StatusCode, Uri,
    header::{CONTENT_LOCATION, LOCATION},
};
use http_polling::{LocationError, resolve, without_byte_order_mark};
use serde_json::Value;

use super::{error::DialectError, step::Interim};
use crate::redact::Redacted;

pub(crate) const OPERATION_LOCATION: HeaderName = HeaderName::from_static("operation-location");
pub(crate) const AZURE_ASYNC_OPERATION: HeaderName =
    HeaderName::from_static("azure-asyncoperation");

/// An answer to a submission or to a poll, with the preceding announcements.
///
/// ```
/// use http::{HeaderMap, Method, StatusCode, Uri};
/// use tower_poll::dialect::{Announced, Answer};
///
/// // The layer makes these. To test a dialect of your own:
/// let submitted_to = Uri::from_static("https://example.com/report");
/// let (announced, headers) = (Announced::default(), HeaderMap::new());
/// let answer = Answer::new(&Method::POST, &submitted_to, &announced, StatusCode::OK, &headers)
///     .with_body(br#"{"status":"running"}"#);
/// assert!(answer.is_to_submission());
/// assert_eq!(answer.json().unwrap()["status"], "running");
/// ```
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    pub(crate) method: &'a Method,
    pub(crate) submitted_to: &'a Uri,
    pub(crate) asked: Option<&'a Uri>,
    pub(crate) announced: &'a Announced,
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) accept: Option<&'a str>,
    pub(crate) body: Option<&'a [u8]>,
}

impl<'a> Answer<'a> {
    /// The answer to a submission, without its body.
    #[must_use]
    pub fn new(
        method: &'a Method,
        submitted_to: &'a Uri,
        announced: &'a Announced,
        status: StatusCode,
        headers: &'a HeaderMap,
    ) -> Self {
        Self {
            method,
            submitted_to,
            asked: None,
            announced,
            status,
            headers,
            retry_after: None,
            accept: None,
            body: None,
        }
    }

    /// Makes it the answer to a poll of `url`.
    #[must_use]
    pub fn to_poll_of(self, url: &'a Uri) -> Self {
        Self {
            asked: Some(url),
            ..self
        }
    }

    /// Sets [`body`](Self::body).
    #[must_use]
    pub fn with_body(self, body: &'a [u8]) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }

    /// Sets [`retry_after`](Self::retry_after).
    #[must_use]
    pub fn with_retry_after(self, delay: Duration) -> Self {
        Self {
            retry_after: Some(delay),
            ..self
        }
    }

    /// Sets [`accept`](Self::accept).
    #[must_use]
    pub fn with_accept(self, accept: &'a str) -> Self {
        Self {
            accept: Some(accept),
            ..self
        }
    }

    /// Returns whether this is the answer to the submission, and not to a
    /// poll.
    pub fn is_to_submission(&self) -> bool {
        self.asked.is_none()
    }

    /// The method of the submission.
    pub fn submission_method(&self) -> &'a Method {
        self.method
    }

    /// The URI of the submission.
    pub fn submission(&self) -> &'a Uri {
        self.submitted_to
    }

    /// The URI that gave this answer.
    pub fn asked(&self) -> &'a Uri {
        self.asked.unwrap_or(self.submitted_to)
    }

    /// The announcements of this call so far, this answer included.
    pub fn announced(&self) -> &'a Announced {
        self.announced
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its headers.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// The delay that the server asks for, unclamped.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The `Accept` of the submission, as one list: the media types that the
    /// caller wants. Present once the body has been read; `None` if the
    /// submission has none.
    pub fn accept(&self) -> Option<&'a str> {
        self.accept
    }

    /// Its body, without content codings. `None` if it has not been read.
    pub fn body(&self) -> Option<&'a [u8]> {
        self.body
    }

    /// Parses its body as JSON. A byte order mark is skipped.
    ///
    /// # Errors
    ///
    /// Fails if there is no body, or if it is not JSON.
    pub fn json(&self) -> Result<Value, DialectError> {
        match self.body {
            None | Some([]) => Err(DialectError::missing("a body")),
            Some(body) => Ok(serde_json::from_slice(without_byte_order_mark(body))?),
        }
    }

    /// Returns the URL in the header `name` of this answer,
    /// [resolved](Self::resolve). `None` if there is none.
    ///
    /// # Errors
    ///
    /// Fails if the URL cannot be used, or if there are several that differ.
    pub fn url_in(&self, name: &HeaderName) -> Result<Option<Uri>, DialectError> {
        Ok(url_in(self.asked(), self.headers, name)?)
    }

    /// Resolves a reference in this answer against the URI that gave it (RFC
    /// 3986, section 5).
    ///
    /// # Errors
    ///
    /// Fails as [`resolve`] does.
    pub fn resolve(&self, reference: &str) -> Result<Uri, DialectError> {
        Ok(resolve(self.asked(), reference)?)
    }

    /// Makes a pending answer at `url`, with the delay that the server asks
    /// for.
    #[must_use]
    pub fn pending(&self, url: Uri) -> Interim {
        Interim {
            retry_after: self.retry_after,
            ..Interim::at(url)
        }
    }
}

impl fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers, bodies and whole URLs may hold secrets.
        f.debug_struct("Answer")
            .field("asked", &Redacted(self.asked()))
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .field("has_body", &self.body.is_some())
            .finish_non_exhaustive()
    }
}

/// The URLs that the answers of a call have announced, resolved. The last
/// value of each header counts.
///
/// ```
/// let announced = tower_poll::dialect::Announced::default();
/// assert_eq!(announced.location, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Announced {
    /// By `Location`.
    pub location: Option<Uri>,
    /// By `Content-Location`.
    pub content_location: Option<Uri>,
    /// By `Operation-Location`, as in many of Azure's services.
    pub operation_location: Option<Uri>,
    /// By `Azure-AsyncOperation`, as in Azure's resource manager.
    pub azure_async_operation: Option<Uri>,
}

impl Announced {
    /// Notes the announcements of the answer of `asked`. A URL that cannot be
    /// used counts as none; [`Answer::url_in`] gives the reason.
    pub(crate) fn note(&mut self, asked: &Uri, headers: &HeaderMap) {
        for (name, url) in [
            (LOCATION, &mut self.location),
            (CONTENT_LOCATION, &mut self.content_location),
            (OPERATION_LOCATION, &mut self.operation_location),
            (AZURE_ASYNC_OPERATION, &mut self.azure_async_operation),
        ] {
            if headers.contains_key(&name) {
                *url = url_in(asked, headers, &name).unwrap_or_default();
            }
        }
    }
}

/// Returns the URL in the header `name` of the answer of `asked`. The same one
/// twice counts as one.
fn url_in(
    asked: &Uri,
    headers: &HeaderMap,
    name: &HeaderName,
) -> Result<Option<Uri>, LocationError> {
    let mut values = headers.get_all(name).iter();
    let Some(reference) = values.next() else {
        return Ok(None);
    };
    match values.all(|other| other == reference) {
        true => resolve(asked, reference).map(Some),
        false => Err(LocationError::Duplicate),
    }
}

//! What a dialect sees.

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

/// An answer to a submission or to a poll, with what came before it.
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

    /// Whether this is the answer to the submission, and not to a poll.
    #[must_use]
    pub fn is_to_submission(&self) -> bool {
        self.asked.is_none()
    }

    /// The method of the submission.
    #[must_use]
    pub fn submission_method(&self) -> &'a Method {
        self.method
    }

    /// The URI of the submission.
    #[must_use]
    pub fn submission(&self) -> &'a Uri {
        self.submitted_to
    }

    /// The URI that gave this answer.
    #[must_use]
    pub fn asked(&self) -> &'a Uri {
        self.asked.unwrap_or(self.submitted_to)
    }

    /// What the answers of this call have announced so far, this one
    /// included.
    #[must_use]
    pub fn announced(&self) -> &'a Announced {
        self.announced
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its headers.
    #[must_use]
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// How long the server asks to wait, unclamped.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The `Accept` of the submission, as one list: the media types that the
    /// caller wants. Known where the body has been read; `None` if it has none.
    #[must_use]
    pub fn accept(&self) -> Option<&'a str> {
        self.accept
    }

    /// Its body, without content codings. `None` where it has not been read.
    #[must_use]
    pub fn body(&self) -> Option<&'a [u8]> {
        self.body
    }

    /// Its body as JSON. A byte order mark before it is skipped.
    ///
    /// # Errors
    ///
    /// Fails where there is no body or it is not JSON.
    pub fn json(&self) -> Result<Value, DialectError> {
        match self.body {
            None | Some([]) => Err(DialectError::missing("a body")),
            Some(body) => Ok(serde_json::from_slice(without_byte_order_mark(body))?),
        }
    }

    /// The URL that the header `name` of this answer tells, resolved as
    /// [`resolve`](Self::resolve) does. `None` where there is none.
    ///
    /// # Errors
    ///
    /// Fails where the URL cannot be used, or where there are several that
    /// differ.
    pub fn url_in(&self, name: &HeaderName) -> Result<Option<Uri>, DialectError> {
        Ok(url_in(self.asked(), self.headers, name)?)
    }

    /// A reference in this answer, resolved against the URI that gave it (RFC
    /// 3986, section 5).
    ///
    /// # Errors
    ///
    /// Fails as [`resolve`] does.
    pub fn resolve(&self, reference: &str) -> Result<Uri, DialectError> {
        Ok(resolve(self.asked(), reference)?)
    }

    /// Pending at `url`, for as long as the server asks.
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

/// The URLs that the answers of a call have announced, resolved; of each
/// header the last.
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
    /// By `Operation-Location`, as many of Azure's services have it.
    pub operation_location: Option<Uri>,
    /// By `Azure-AsyncOperation`, as Azure's resource manager has it.
    pub azure_async_operation: Option<Uri>,
}

impl Announced {
    /// Takes in what the answer of `asked` announces. A URL that cannot be
    /// used counts as none; a dialect that needs it has the reason by
    /// [`Answer::url_in`].
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

/// The URL that the header `name` of the answer of `asked` tells. The same one
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

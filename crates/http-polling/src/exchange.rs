//! Telling a pending answer from a final one.

mod fields;

use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method, StatusCode, Uri};

use self::fields::{Field, Fields};
use crate::{
    job_state::JobState,
    location::{LocationError, resolve},
};

/// A request, as far as it matters to what its response means.
///
/// ```
/// use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
/// use http_polling::{Exchange, Reading};
/// use std::time::{Duration, SystemTime};
///
/// let mut headers = HeaderMap::new();
/// headers.insert(header::LOCATION, HeaderValue::from_static("/work/8f14"));
/// headers.insert(header::RETRY_AFTER, HeaderValue::from_static("3"));
///
/// let uri = Uri::from_static("https://example.com/report");
/// let reading = Exchange::new(&Method::POST, &uri)
///     .read(StatusCode::SEE_OTHER, &headers, SystemTime::now())
///     .unwrap();
/// let Reading::Pending(next) = reading else {
///     panic!("a redirect that says when to follow it is pending");
/// };
/// assert_eq!(next.method, Method::GET);
/// assert_eq!(next.uri, "https://example.com/work/8f14");
/// assert_eq!(next.retry_after, Some(Duration::from_secs(3)));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Exchange<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// The request's URI, against which a `Location` is resolved. It may be
    /// path-only.
    pub uri: &'a Uri,
    /// Whether the request was a poll already, rather than the submission.
    pub polling: bool,
}

/// What a response means.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reading {
    /// The work goes on; ask again.
    Pending(NextPoll),
    /// This is the answer, and the job's state where the response tells it.
    Final(Option<JobState>),
}

/// Where and when to ask again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NextPoll {
    /// The URI to poll: absolute, or path-only where the request's was.
    pub uri: Uri,
    /// The method to poll by: HEAD if the request was HEAD, else GET.
    pub method: Method,
    /// How long the server asks to wait, unclamped. `None` where it does not
    /// say.
    pub retry_after: Option<Duration>,
    /// The job's state, where the response tells it.
    pub state: Option<JobState>,
}

impl<'a> Exchange<'a> {
    /// The request that submits the work.
    #[must_use]
    pub const fn new(method: &'a Method, uri: &'a Uri) -> Self {
        Self {
            method,
            uri,
            polling: false,
        }
    }

    /// Sets whether the request is a poll, rather than the submission.
    ///
    /// ```
    /// use http::{HeaderMap, Method, StatusCode, Uri};
    /// use http_polling::{Exchange, Reading};
    /// use std::time::SystemTime;
    ///
    /// let uri = Uri::from_static("https://example.com/work/8f14");
    /// let reading = Exchange::new(&Method::GET, &uri)
    ///     .polling(true)
    ///     .read(StatusCode::ACCEPTED, &HeaderMap::new(), SystemTime::now())
    ///     .unwrap();
    /// assert!(matches!(reading, Reading::Pending(next) if next.uri == uri));
    /// ```
    #[must_use]
    pub const fn polling(mut self, polling: bool) -> Self {
        self.polling = polling;
        self
    }

    /// Reads the head of the response to this request. `now` is used only for
    /// a `Retry-After` date that the response's own `Date` says nothing about.
    ///
    /// 1. A recognised `Job-Status` alone decides: `queued` and `running` are
    ///    pending, the other states are final, whatever the status code. The
    ///    poll goes to `Location`, else to `Content-Location`, else, if the
    ///    request was a poll or a GET or HEAD, to the same URI again.
    /// 2. Without one, the answer to a submission is pending if it is
    ///    * 301, 302 or 303, or 307 or 308 to a GET or HEAD, with `Location`
    ///      and `Retry-After` or one of its likes in milliseconds
    ///      ([`has_retry_after`](crate::has_retry_after)),
    ///    * 202 with `Location`, else `Content-Location`, or
    ///    * 202 with `Retry-After` to a GET or HEAD, which stays where it is.
    /// 3. Without one, the answer to a poll is pending if it is
    ///    * 301, 302, 303, 307 or 308,
    ///    * 429 or 503 with `Retry-After`, which stays where it is, or
    ///    * 202, which moves to `Location`, else to `Content-Location`, else
    ///      stays where it is.
    ///
    /// Everything else is final. A `Retry-After` that cannot be read counts as
    /// one that is there; the delay is then the client's to choose.
    ///
    /// # Errors
    ///
    /// Fails for a pending answer whose next URI is needed and is missing, is
    /// there more than once with values that differ, or does not [`resolve`].
    pub fn read(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        now: SystemTime,
    ) -> Result<Reading, LocationError> {
        let fields = Fields::of(headers);
        let delay = || fields.retry_after.delay(headers, now);
        match fields.state() {
            Some(state) if state.is_final() => Ok(Reading::Final(Some(state))),
            Some(state) => {
                let next = match self.announced(&fields)? {
                    Some(uri) => uri,
                    None if self.polling || self.is_safe() => self.uri.clone(),
                    None => return Err(LocationError::Missing),
                };
                Ok(self.pending(next, delay(), Some(state)))
            }
            None if self.polling => self.read_poll(status, &fields, delay),
            None => self.read_submission(status, &fields, delay),
        }
    }

    fn read_submission(
        &self,
        status: StatusCode,
        fields: &Fields<'_>,
        delay: impl Fn() -> Option<Duration>,
    ) -> Result<Reading, LocationError> {
        let asks_to_wait = fields.retry_after.is_there;
        let followed = match status {
            StatusCode::ACCEPTED => {
                return Ok(match self.announced(fields)? {
                    Some(uri) => self.pending(uri, delay(), None),
                    None if self.is_safe() && asks_to_wait => {
                        self.pending(self.uri.clone(), delay(), None)
                    }
                    None => Reading::Final(None),
                });
            }
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => true,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => self.is_safe(),
            _ => false,
        };
        // Without Retry-After it is a plain redirect, and not to be followed here.
        if followed
            && asks_to_wait
            && let Some(uri) = self.resolved(fields.location)?
        {
            return Ok(self.pending(uri, delay(), None));
        }
        Ok(Reading::Final(None))
    }

    fn read_poll(
        &self,
        status: StatusCode,
        fields: &Fields<'_>,
        delay: impl Fn() -> Option<Duration>,
    ) -> Result<Reading, LocationError> {
        let next = match status {
            StatusCode::ACCEPTED => self.announced(fields)?.unwrap_or_else(|| self.uri.clone()),
            StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT => self
                .resolved(fields.location)?
                .ok_or(LocationError::Missing)?,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                return Ok(match fields.retry_after.is_there {
                    true => self.pending(self.uri.clone(), delay(), None),
                    false => Reading::Final(None),
                });
            }
            _ => return Ok(Reading::Final(None)),
        };
        Ok(self.pending(next, delay(), None))
    }

    fn pending(&self, uri: Uri, retry_after: Option<Duration>, state: Option<JobState>) -> Reading {
        let method = match *self.method {
            Method::HEAD => Method::HEAD,
            _ => Method::GET,
        };
        Reading::Pending(NextPoll {
            uri,
            method,
            retry_after,
            state,
        })
    }

    /// Asking again by GET or HEAD is what the request itself did.
    fn is_safe(&self) -> bool {
        matches!(*self.method, Method::GET | Method::HEAD)
    }

    /// `Location`, else `Content-Location`.
    fn announced(&self, fields: &Fields<'_>) -> Result<Option<Uri>, LocationError> {
        match self.resolved(fields.location)? {
            None => self.resolved(fields.content_location),
            location => Ok(location),
        }
    }

    fn resolved(&self, field: Field<'_>) -> Result<Option<Uri>, LocationError> {
        match field {
            Field::Absent => Ok(None),
            Field::Once(reference) => resolve(self.uri, reference).map(Some),
            Field::Several => Err(LocationError::Duplicate),
        }
    }
}

#[cfg(test)]
mod tests;

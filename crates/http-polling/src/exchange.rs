//! Distinguishing pending answers from final ones.

mod fields;

use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method, StatusCode, Uri};

use self::fields::{Field, Fields};
use crate::{
    job_state::JobState,
    location::{LocationError, resolve},
};

/// The part of a request that determines the meaning of its response.
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
///     panic!("a redirect with Retry-After is pending");
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
    /// The request's URI, against which `Location` is resolved. It may be
    /// path-only.
    pub uri: &'a Uri,
    /// `true` for a poll, `false` for the submission.
    pub polling: bool,
}

/// The meaning of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reading {
    /// The work is not finished, and the client polls again.
    Pending(NextPoll),
    /// The response is the answer. Carries the job's state if the response
    /// declares one.
    Final(Option<JobState>),
}

/// The next poll of a pending job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NextPoll {
    /// The URI to poll: absolute, or path-only if the request's was.
    pub uri: Uri,
    /// The method to poll with: HEAD if the request was HEAD, otherwise GET.
    pub method: Method,
    /// The delay that the server asks for, without a limit. `None` if the
    /// server asks for none, or if its value cannot be read.
    pub retry_after: Option<Duration>,
    /// The job's state, if the response declares one.
    pub state: Option<JobState>,
}

impl<'a> Exchange<'a> {
    /// Describes the request that submits the work.
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

    /// Reads the head of the response to this request.
    ///
    /// 1. A recognised `Job-Status` takes precedence over the status code:
    ///    `queued` and `running` are pending, and the other states are final.
    ///    The next poll goes to `Location`, otherwise to `Content-Location`.
    ///    If both are missing and the request was a poll, GET or HEAD, the
    ///    next poll goes to the same URI.
    /// 2. Without `Job-Status`, the answer to a submission is pending if it is
    ///    * 301, 302 or 303, or 307 or 308 to a GET or HEAD, with `Location`
    ///      and `Retry-After` or a related field
    ///      ([`has_retry_after`](crate::has_retry_after)),
    ///    * 202 with `Location` or, if that is missing, `Content-Location`, or
    ///    * 202 with `Retry-After` to a GET or HEAD. The next poll goes to the
    ///      same URI.
    /// 3. Without `Job-Status`, the answer to a poll is pending if it is
    ///    * 301, 302, 303, 307 or 308 with `Location`,
    ///    * 429 or 503 with `Retry-After`, where the next poll goes to the same
    ///      URI, or
    ///    * 202, where the next poll goes to `Location`, otherwise to
    ///      `Content-Location`, otherwise to the same URI.
    ///
    /// Every other answer is final. A `Retry-After` that cannot be read counts
    /// as present, and the client chooses the delay. `now` is the reference of
    /// a `Retry-After` date if the response has no usable `Date`.
    ///
    /// # Errors
    ///
    /// Fails for a pending answer if the next URI is required and missing,
    /// occurs more than once with different values, or cannot be
    /// [resolved](resolve).
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
        // A redirect without Retry-After is not part of polling.
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

    /// Returns whether a poll may repeat the request itself.
    fn is_safe(&self) -> bool {
        matches!(*self.method, Method::GET | Method::HEAD)
    }

    /// The URI in `Location` or, if that is missing, in `Content-Location`.
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

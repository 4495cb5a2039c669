//! The view of a call that a policy gets.

use std::time::Duration;

use http::{HeaderMap, StatusCode, Uri};
use http_polling::{JOB_STATUS, JobState, RETRY_AFTER_MS, is_downgrade, same_origin};

use crate::redact::Redacted;

/// One step of a call: a pending answer, and the poll that follows it.
///
/// Both URLs are resolved, as the layer would use them. They may be path-only
/// if the submission's URI was.
///
/// ```
/// use http::{HeaderMap, StatusCode, Uri};
/// use tower_poll::Hop;
///
/// // The layer makes these. To test a policy of your own:
/// let from = Uri::from_static("https://example.com/report");
/// let to = Uri::from_static("https://elsewhere.example/work/1");
/// let headers = HeaderMap::new();
/// let hop = Hop::new(&from, &to, StatusCode::SEE_OTHER, &headers).with_poll(3);
/// assert!(hop.is_cross_origin());
/// assert_eq!(hop.poll(), 3);
/// ```
#[derive(Clone, Copy)]
pub struct Hop<'a> {
    pub(crate) poll: u32,
    pub(crate) retries: u32,
    pub(crate) submission: &'a Uri,
    pub(crate) from: &'a Uri,
    pub(crate) to: &'a Uri,
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) state: Option<JobState>,
    pub(crate) elapsed: Duration,
    pub(crate) remaining: Duration,
    /// Computed at once: the layer needs it, as most policies do.
    pub(crate) is_cross_origin: bool,
}

impl<'a> Hop<'a> {
    /// The first hop of a call whose submission, to `from`, was answered with
    /// `status` and `headers`, and whose poll would go to `to`: without a
    /// delay from the server, a job state, a failure, time passed, or a
    /// deadline.
    #[must_use]
    pub fn new(from: &'a Uri, to: &'a Uri, status: StatusCode, headers: &'a HeaderMap) -> Self {
        Self {
            poll: 1,
            retries: 0,
            submission: from,
            from,
            to,
            status,
            headers,
            retry_after: None,
            state: None,
            elapsed: Duration::ZERO,
            remaining: Duration::MAX,
            is_cross_origin: !same_origin(from, to),
        }
    }

    /// Sets [`poll`](Self::poll).
    #[must_use]
    pub fn with_poll(self, poll: u32) -> Self {
        Self { poll, ..self }
    }

    /// Sets [`retries`](Self::retries).
    #[must_use]
    pub fn with_retries(self, retries: u32) -> Self {
        Self { retries, ..self }
    }

    /// Sets [`submission`](Self::submission).
    #[must_use]
    pub fn with_submission(self, submission: &'a Uri) -> Self {
        Self {
            submission,
            is_cross_origin: !same_origin(submission, self.to),
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

    /// Sets [`state`](Self::state).
    #[must_use]
    pub fn with_state(self, state: JobState) -> Self {
        Self {
            state: Some(state),
            ..self
        }
    }

    /// Sets [`elapsed`](Self::elapsed) and [`remaining`](Self::remaining).
    #[must_use]
    pub fn with_times(self, elapsed: Duration, remaining: Duration) -> Self {
        Self {
            elapsed,
            remaining,
            ..self
        }
    }

    /// The number of this poll. The first is 1.
    pub fn poll(&self) -> u32 {
        self.poll
    }

    /// The number of polls that have failed in a row, of which this one would
    /// repeat the last. 0 if the last one was answered.
    pub fn retries(&self) -> u32 {
        self.retries
    }

    /// The origin of the submission, as a URI without a path of its own.
    pub fn submission(&self) -> &'a Uri {
        self.submission
    }

    /// The URL of the pending answer. For the first poll of a resumed job, the
    /// origin of the submission.
    pub fn from(&self) -> &'a Uri {
        self.from
    }

    /// The URL of the poll. It may be the same.
    pub fn to(&self) -> &'a Uri {
        self.to
    }

    /// The status of the pending answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers of the pending answer.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// The delay that the server asks for (RFC 9110, section 10.2.3), if it
    /// does. It is unchecked: zero and a century are possible.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The state of the job, from `Job-Status`.
    pub fn state(&self) -> Option<JobState> {
        self.state
    }

    /// Returns whether the server itself keeps its clients from polling
    /// together: its answer has a `Job-Status` and a readable
    /// `retry-after-ms`. A client that waits for [that
    /// time](Self::retry_after) needs no jitter.
    pub fn is_spread_by_server(&self) -> bool {
        self.state.is_some_and(JobState::is_pending)
            && self.headers.contains_key(JOB_STATUS)
            && self
                .headers
                .get(RETRY_AFTER_MS)
                .and_then(|millis| millis.to_str().ok())
                .is_some_and(|millis| millis.parse::<u64>().is_ok())
    }

    /// The time since the submission was sent.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// The time until the deadline of the call.
    pub fn remaining(&self) -> Duration {
        self.remaining
    }

    /// Returns whether the URL of the poll is of another origin (RFC 6454)
    /// than the submission.
    pub fn is_cross_origin(&self) -> bool {
        self.is_cross_origin
    }

    /// Returns whether this hop would go from https to http.
    pub fn is_downgrade(&self) -> bool {
        is_downgrade(self.from, self.to)
    }
}

impl std::fmt::Debug for Hop<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Headers and whole URLs may hold secrets.
        f.debug_struct("Hop")
            .field("poll", &self.poll)
            .field("retries", &self.retries)
            .field("from", &Redacted(self.from))
            .field("to", &Redacted(self.to))
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .field("state", &self.state)
            .field("elapsed", &self.elapsed)
            .field("remaining", &self.remaining)
            .finish_non_exhaustive()
    }
}

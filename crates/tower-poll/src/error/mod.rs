//! What can go wrong.

#[cfg(feature = "tonic")]
mod grpc;
mod hint;
mod making;

use std::{error, fmt, str, time::Duration};

use http::{HeaderMap, StatusCode};
use http_polling::{JobState, Problem, is_problem_json};
use tower::BoxError;

pub use self::hint::Hint;
use crate::pending_job::PendingJob;

/// The most that is kept of the body of an answer that is an error.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

/// Why there is no response.
///
/// It is opaque: ask it what it is. A wrong turn of the job itself (it
/// failed, expired, is unknown, …) is told by [`job_state`](Self::job_state)
/// and the server's [`problem`](Self::problem) document; an error of the
/// service beneath by [`is_inner`](Self::is_inner). The
/// [`source`](error::Error::source) chain goes all the way down.
///
/// Once a job was accepted, every error has it as its
/// [`pending_job`](Self::pending_job). An error that is about an answer has
/// that answer's [`status`](Self::status), [`headers`](Self::headers) and up
/// to 64 KiB of its [`body`](Self::body), which are the server's own words: a
/// program that prints them on a terminal has to remove control characters.
/// Neither [`Display`](fmt::Display) nor [`Debug`](fmt::Debug) shows them, nor
/// the whole URL of a job.
///
/// With the `tonic` feature, the error of a gRPC call has a `tonic::Status` as
/// its source, unless the service beneath failed; what its source was is that
/// of the status. A client of tonic then fails with its code:
/// `DEADLINE_EXCEEDED` at the deadline, `PERMISSION_DENIED` if the policy
/// refused or the server did by 403, `UNAUTHENTICATED` after a 401,
/// `RESOURCE_EXHAUSTED` after the last poll, `CANCELLED` if the caller waits no
/// more, `INTERNAL` for an answer that cannot be read, and for a job that ended
/// without an answer the code of its end.
///
/// ```
/// use http_polling::JobState;
///
/// fn is_worth_submitting_again(error: &tower_poll::Error) -> bool {
///     matches!(error.job_state(), Some(JobState::Lost | JobState::Expired))
/// }
/// ```
///
/// Everything that there is to know of one:
///
/// ```
/// fn explain(error: &tower_poll::Error) {
///     eprintln!("{error}"); // with the status and a hint, where there are some
///     if let Some(problem) = error.problem() {
///         eprintln!("the server says: {problem}");
///     } else if let Some(text) = error.text() {
///         eprintln!("the server says: {text:?}");
///     }
///     if let Some(job) = error.pending_job() {
///         eprintln!("the job is at {}", job.url());
///     }
/// }
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    source: Option<BoxError>,
    problem: Option<Problem>,
    said: Option<Said>,
    hint: Option<Hint>,
    pending_job: Option<PendingJob>,
}

/// An answer that is an error, with the start of its body.
struct Said {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Said {
    fn problem(&self) -> Option<Problem> {
        is_problem_json(&self.headers)
            .then(|| Problem::from_json(&self.body).ok())
            .flatten()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The service failed at the submission.
    Service,
    /// The service failed at a poll.
    Poll,
    Deadline,
    /// The next poll, due in `delay`, would be after the deadline.
    TooLate {
        delay: Duration,
    },
    TooManyPolls,
    ForeignLocation,
    BadLocation,
    Refused {
        is_cross_origin: bool,
    },
    /// A dialect could not read an answer.
    BadAnswer,
    /// The answer to a poll is not that of the job.
    Unrelated,
    /// 401 or 403 on a poll.
    Unauthorized,
    Stopped,
    NotCancellable,
    NotCancelled(StatusCode),
    UnknownDialect,
    Job(JobState),
}

impl Error {
    /// Adds a status as the source, if the call is one of gRPC and tonic's
    /// statuses are built in.
    pub(crate) fn for_caller(self, is_grpc: bool) -> Self {
        #[cfg(feature = "tonic")]
        if is_grpc {
            return self.with_status();
        }
        let _ = is_grpc;
        self
    }

    /// Whether the deadline of the call passed, or would pass before the next
    /// poll.
    #[must_use]
    pub fn is_deadline(&self) -> bool {
        matches!(self.0.kind, Kind::Deadline | Kind::TooLate { .. })
    }

    /// Whether the job was pending still after the last poll that the layer
    /// may send.
    #[must_use]
    pub fn is_too_many_polls(&self) -> bool {
        self.0.kind == Kind::TooManyPolls
    }

    /// Whether the next poll would have gone to another origin than is
    /// allowed, or from https to http. No request was made there.
    #[must_use]
    pub fn is_cross_origin(&self) -> bool {
        matches!(
            self.0.kind,
            Kind::ForeignLocation
                | Kind::Refused {
                    is_cross_origin: true
                }
        )
    }

    /// Whether a pending answer says in no usable way where to ask next:
    /// `Location` is missing, doubled, not http, not a URL. The source is an
    /// [`http_polling::LocationError`].
    #[must_use]
    pub fn is_bad_location(&self) -> bool {
        self.0.kind == Kind::BadLocation
    }

    /// Whether the [`PollPolicy`](crate::PollPolicy) refused to poll, for
    /// whatever reason. The source is the
    /// [`Refusal`](crate::Refusal).
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.0.kind, Kind::Refused { .. })
    }

    /// Whether an answer was not what its
    /// [`Dialect`](crate::dialect::Dialect) has: no JSON, a member missing, a
    /// body that broke off or is too long.
    #[must_use]
    pub fn is_bad_answer(&self) -> bool {
        self.0.kind == Kind::BadAnswer
    }

    /// Returns whether a poll was answered by something else than the job: without
    /// `Job-Status`, though the answer that announced the job had one.
    #[must_use]
    pub fn is_unrelated(&self) -> bool {
        self.0.kind == Kind::Unrelated
    }

    /// Returns whether a poll was answered with 403, or with 401 and there is no
    /// [new authorization](crate::PollLayer::refresh) or that was refused
    /// too. The [`status`](Self::status) says which.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        self.0.kind == Kind::Unauthorized
    }

    /// Whether the caller did not want to wait any more
    /// ([`StopSignal`](crate::StopSignal), [`DoNotWait`](crate::DoNotWait)).
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self.0.kind, Kind::Stopped | Kind::NotCancellable)
    }

    /// Whether the caller wanted the job to be cancelled, and there is nothing
    /// that DELETE would cancel. No request was made: see
    /// [`StopSignal::cancel_remotely`](crate::StopSignal::cancel_remotely).
    #[must_use]
    pub fn is_not_cancellable(&self) -> bool {
        self.0.kind == Kind::NotCancellable
    }

    /// Whether a stored job is of a [`Dialect`](crate::dialect::Dialect) that
    /// the layer which was to [resume](crate::PollService::resume) it does not
    /// have.
    #[must_use]
    pub fn is_unknown_dialect(&self) -> bool {
        self.0.kind == Kind::UnknownDialect
    }

    /// The status with which the server refused to cancel the job.
    #[must_use]
    pub fn refused_cancellation(&self) -> Option<StatusCode> {
        match self.0.kind {
            Kind::NotCancelled(status) => Some(status),
            _ => None,
        }
    }

    /// The state in which the job ended, if it ended without an answer of its
    /// own: `failed`, `timed-out`, `lost`, `cancelled`, `expired`, `unknown`.
    #[must_use]
    pub fn job_state(&self) -> Option<JobState> {
        match self.0.kind {
            Kind::Job(state) => Some(state),
            _ => None,
        }
    }

    /// The problem document (RFC 9457) that the server sent, if it sent one of
    /// up to 64 KiB.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        self.0.problem.as_ref()
    }

    /// The status of the answer that this error is about. `None` if it is
    /// about none: the deadline passed, say, or the service failed.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.0.said.as_ref().map(|said| said.status)
    }

    /// The headers of the answer that this error is about. They have the
    /// `Location` of a job where that [cannot be
    /// read](Self::is_bad_location).
    #[must_use]
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.0.said.as_ref().map(|said| &said.headers)
    }

    /// The first 64 KiB of the body of the answer that this error is about, as
    /// far as they came within 10 s. Empty if there are none.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.0.said.as_ref().map_or(&[], |said| &said.body)
    }

    /// The [`body`](Self::body), if it is UTF-8 and not empty.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        let body = self.body();
        let text = match str::from_utf8(body) {
            Ok(text) => text,
            // Cut within a character.
            Err(error) if error.error_len().is_none() => {
                str::from_utf8(&body[..error.valid_up_to()]).unwrap_or_default()
            }
            Err(_) => "",
        };
        (!text.is_empty()).then_some(text)
    }

    /// Advice on what may help, if there is some. [`Display`](fmt::Display)
    /// gives it too.
    #[must_use]
    pub fn hint(&self) -> Option<&Hint> {
        self.0.hint.as_ref()
    }

    /// Whether the service beneath failed: at becoming ready, at the
    /// submission, or at a poll. In the last case there is a
    /// [`pending_job`](Self::pending_job).
    #[must_use]
    pub fn is_inner(&self) -> bool {
        matches!(self.0.kind, Kind::Service | Kind::Poll)
    }

    /// The error of the service beneath, if [`is_inner`](Self::is_inner).
    #[must_use]
    pub fn into_inner(self) -> Option<BoxError> {
        if self.is_inner() { self.0.source } else { None }
    }

    /// The job that was accepted. It may well go on, unless there is a
    /// [`job_state`](Self::job_state) that says otherwise.
    ///
    /// `None` if the submission failed, and if no URL can be made of the
    /// [`Location`](Self::headers) that the server sent. The URL may be one
    /// that was refused, or that had to be mended to be read: no request was
    /// made there.
    #[must_use]
    pub fn pending_job(&self) -> Option<&PendingJob> {
        self.0.pending_job.as_ref()
    }

    /// The [`pending_job`](Self::pending_job).
    #[must_use]
    pub fn into_pending_job(self) -> Option<PendingJob> {
        self.0.pending_job
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.kind, f)?;
        let status = self.status().map(|status| status.to_string());
        let hint = self.hint().map(|hint| format!("hint: {hint}"));
        let notes: Vec<_> = status.into_iter().chain(hint).collect();
        if !notes.is_empty() {
            write!(f, " ({})", notes.join("; "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Service => f.write_str("the service failed"),
            Kind::Poll => f.write_str("a poll failed"),
            Kind::Deadline => f.write_str("the deadline passed while the job was pending"),
            Kind::TooLate { delay } => {
                write!(f, "the next poll, due in {delay:?}, is after the deadline")
            }
            Kind::TooManyPolls => f.write_str("the job was pending still after the last poll"),
            Kind::ForeignLocation => {
                f.write_str("the job is on another origin than path-only requests go to")
            }
            Kind::BadLocation => f.write_str("the pending answer does not say where to poll"),
            Kind::Refused { .. } => f.write_str("the policy refused to poll"),
            Kind::BadAnswer => f.write_str("an answer cannot be read"),
            Kind::Unrelated => f.write_str("a poll was answered by something else than the job"),
            Kind::Unauthorized => f.write_str("a poll was refused for want of authorization"),
            Kind::Stopped => f.write_str("the caller waits no more"),
            Kind::NotCancellable => f.write_str("there is no job that DELETE would cancel"),
            Kind::NotCancelled(_) => f.write_str("the server did not cancel the job"),
            Kind::UnknownDialect => f.write_str("the job's API is of a dialect that is not known"),
            Kind::Job(state) => write!(f, "the job has no answer: {state}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Error");
        shown.field("kind", &self.0.kind);
        if let Some(source) = &self.0.source {
            shown.field("source", source);
        }
        if let Some(problem) = &self.0.problem {
            shown.field("problem", problem);
        }
        if let Some(status) = self.status() {
            shown.field("status", &status);
        }
        if let Some(hint) = self.hint() {
            shown.field("hint", hint);
        }
        if let Some(job) = &self.0.pending_job {
            shown.field("pending_job", job);
        }
        shown.finish()
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match (&self.0.source, &self.0.problem) {
            (Some(source), _) => Some(&**source),
            (None, Some(problem)) => Some(problem),
            (None, None) => None,
        }
    }
}

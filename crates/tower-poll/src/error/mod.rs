//! The error of a call.

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

/// The most bytes that are kept of the body of an answer that is an error.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

/// The reason why a call has no response.
///
/// It is opaque, with methods for each reason. If the job itself ended badly
/// (it failed, expired, is unknown, …), it has a
/// [`job_state`](Self::job_state) and the server's [`problem`](Self::problem)
/// document; if the service beneath failed, [`is_inner`](Self::is_inner) is
/// true. The [`source`](error::Error::source) chain is complete.
///
/// Once a job was accepted, every error has it as its
/// [`pending_job`](Self::pending_job). If an answer is the reason, the error
/// has that answer's [`status`](Self::status), [`headers`](Self::headers) and
/// up to 64 KiB of its [`body`](Self::body). These come from the server: a
/// program that prints them on a terminal has to remove control characters.
/// Neither [`Display`](fmt::Display) nor [`Debug`](fmt::Debug) shows them, nor
/// the whole URL of a job.
///
/// With the `tonic` feature, the error of a gRPC call has a `tonic::Status` as
/// its source, unless the service beneath failed; the source of that status is
/// the former source. A client of tonic then fails with its code:
/// `DEADLINE_EXCEEDED` at the deadline, `PERMISSION_DENIED` if the policy
/// refused or the server did by 403, `UNAUTHENTICATED` after a 401,
/// `RESOURCE_EXHAUSTED` after the last poll, `CANCELLED` if the caller stopped
/// waiting, `INTERNAL` for an unreadable answer, and for a job that ended
/// without a response the code of its end.
///
/// ```
/// use http_polling::JobState;
///
/// fn is_worth_submitting_again(error: &tower_poll::Error) -> bool {
///     matches!(error.job_state(), Some(JobState::Lost | JobState::Expired))
/// }
/// ```
///
/// All that an error has:
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

    /// Returns whether the deadline of the call passed, or would pass before
    /// the next poll.
    pub fn is_deadline(&self) -> bool {
        matches!(self.0.kind, Kind::Deadline | Kind::TooLate { .. })
    }

    /// Returns whether the job was still pending after the last poll that the
    /// layer may send.
    pub fn is_too_many_polls(&self) -> bool {
        self.0.kind == Kind::TooManyPolls
    }

    /// Returns whether the next poll would have gone to another origin than is
    /// allowed, or from https to http. No request was made there.
    pub fn is_cross_origin(&self) -> bool {
        matches!(
            self.0.kind,
            Kind::ForeignLocation
                | Kind::Refused {
                    is_cross_origin: true
                }
        )
    }

    /// Returns whether a pending answer has no usable URL for the next poll:
    /// `Location` is missing, doubled, not http, not a URL. The source is an
    /// [`http_polling::LocationError`].
    pub fn is_bad_location(&self) -> bool {
        self.0.kind == Kind::BadLocation
    }

    /// Returns whether the [`PollPolicy`](crate::PollPolicy) refused to poll.
    /// The source is the [`Refusal`](crate::Refusal).
    pub fn is_refused(&self) -> bool {
        matches!(self.0.kind, Kind::Refused { .. })
    }

    /// Returns whether an answer did not have the form of its
    /// [`Dialect`](crate::dialect::Dialect): no JSON, a member missing, a body
    /// that broke off or is too long.
    pub fn is_bad_answer(&self) -> bool {
        self.0.kind == Kind::BadAnswer
    }

    /// Returns whether a poll was answered by something other than the job:
    /// without `Job-Status`, though the answer that announced the job had one.
    pub fn is_unrelated(&self) -> bool {
        self.0.kind == Kind::Unrelated
    }

    /// Returns whether a poll was answered with 403, or with 401 and there is
    /// no [new authorization](crate::PollLayer::refresh) or that was refused
    /// too. The [`status`](Self::status) is either.
    pub fn is_unauthorized(&self) -> bool {
        self.0.kind == Kind::Unauthorized
    }

    /// Returns whether the caller stopped waiting
    /// ([`StopSignal`](crate::StopSignal), [`DoNotWait`](crate::DoNotWait)).
    pub fn is_stopped(&self) -> bool {
        matches!(self.0.kind, Kind::Stopped | Kind::NotCancellable)
    }

    /// Returns whether the caller wanted to cancel the job, and DELETE would
    /// cancel none. No request was made: see
    /// [`StopSignal::cancel_remotely`](crate::StopSignal::cancel_remotely).
    pub fn is_not_cancellable(&self) -> bool {
        self.0.kind == Kind::NotCancellable
    }

    /// Returns whether the layer that was to
    /// [resume](crate::PollService::resume) a stored job lacks its
    /// [`Dialect`](crate::dialect::Dialect).
    pub fn is_unknown_dialect(&self) -> bool {
        self.0.kind == Kind::UnknownDialect
    }

    /// The status with which the server refused to cancel the job.
    pub fn refused_cancellation(&self) -> Option<StatusCode> {
        match self.0.kind {
            Kind::NotCancelled(status) => Some(status),
            _ => None,
        }
    }

    /// The state in which the job ended, if it ended without a response of its
    /// own: `failed`, `timed-out`, `lost`, `cancelled`, `expired`, `unknown`.
    pub fn job_state(&self) -> Option<JobState> {
        match self.0.kind {
            Kind::Job(state) => Some(state),
            _ => None,
        }
    }

    /// The problem document (RFC 9457) from the server, if there is one of up
    /// to 64 KiB.
    pub fn problem(&self) -> Option<&Problem> {
        self.0.problem.as_ref()
    }

    /// The status of the answer that is the reason. `None` if no answer is:
    /// the deadline passed, say, or the service failed.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.said.as_ref().map(|said| said.status)
    }

    /// The headers of the answer that is the reason. They include the
    /// `Location` of a job that [cannot be read](Self::is_bad_location).
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.0.said.as_ref().map(|said| &said.headers)
    }

    /// The first 64 KiB of the body of the answer that is the reason, as far
    /// as they came within 10 s. Empty if there are none.
    pub fn body(&self) -> &[u8] {
        self.0.said.as_ref().map_or(&[], |said| &said.body)
    }

    /// The [`body`](Self::body), if it is UTF-8 and not empty.
    pub fn text(&self) -> Option<&str> {
        let body = self.body();
        let text = match str::from_utf8(body) {
            Ok(text) => text,
            // The limit cut a character.
            Err(error) if error.error_len().is_none() => {
                str::from_utf8(&body[..error.valid_up_to()]).unwrap_or_default()
            }
            Err(_) => "",
        };
        (!text.is_empty()).then_some(text)
    }

    /// Advice about the cause, if there is some. [`Display`](fmt::Display)
    /// includes it.
    pub fn hint(&self) -> Option<&Hint> {
        self.0.hint.as_ref()
    }

    /// Returns whether the service beneath failed: at becoming ready, at the
    /// submission, or at a poll. In the last case there is a
    /// [`pending_job`](Self::pending_job).
    pub fn is_inner(&self) -> bool {
        matches!(self.0.kind, Kind::Service | Kind::Poll)
    }

    /// The error of the service beneath, if [`is_inner`](Self::is_inner).
    #[must_use]
    pub fn into_inner(self) -> Option<BoxError> {
        if self.is_inner() { self.0.source } else { None }
    }

    /// The job that was accepted. It probably goes on, unless
    /// [`job_state`](Self::job_state) is its end.
    ///
    /// `None` if the submission failed, and if no URL can be made of the
    /// server's [`Location`](Self::headers). The URL may be one that was
    /// refused, or that had to be repaired to be read: no request was made
    /// there.
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
        f.write_str(match self {
            Kind::Service => "the service failed during the submission",
            Kind::Poll => "the service failed in a request for the job",
            Kind::Deadline => "the deadline passed while the job was pending",
            Kind::TooLate { delay } => {
                return write!(f, "the next poll, due in {delay:?}, is after the deadline");
            }
            Kind::TooManyPolls => "the job is still pending after the last poll that is allowed",
            Kind::ForeignLocation => {
                "the job's URL is absolute, and the request had no origin to compare it with"
            }
            Kind::BadLocation => "the pending answer has no usable URL to poll",
            Kind::Refused { .. } => "the policy refused the next poll",
            Kind::BadAnswer => "the answer does not have the form that its API prescribes",
            Kind::Unrelated => "the answer to a poll has no `Job-Status`, and is not the job's",
            Kind::Unauthorized => "the server refused a poll for lack of authorization",
            Kind::Stopped => "the caller stopped waiting for the job",
            Kind::NotCancellable => {
                "the job was not cancelled, since its URL may not be that of a job"
            }
            Kind::NotCancelled(_) => "the server refused to cancel the job",
            Kind::UnknownDialect => "the stored job needs a dialect that the layer does not have",
            Kind::Job(state) => return write!(f, "the job ended without a response: {state}"),
        })
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

//! What can go wrong.

#[cfg(feature = "tonic")]
mod grpc;

use std::{error, fmt, time::Duration};

use http::StatusCode;
use http_polling::{JobState, LocationError, Problem};
use tower::BoxError;

use crate::{PendingJob, Refusal};

/// Why there is no response.
///
/// It is opaque: ask it what it is. A wrong turn of the job itself (it
/// failed, expired, is unknown, …) is told by [`job_state`](Self::job_state)
/// and the server's [`problem`](Self::problem) document; an error of the
/// service beneath by [`is_inner`](Self::is_inner). The
/// [`source`](error::Error::source) chain goes all the way down.
///
/// With the `tonic` feature, the error of a gRPC call has a `tonic::Status` as
/// its source, unless the service beneath failed; what its source was is that
/// of the status. A client of tonic then fails with its code:
/// `DEADLINE_EXCEEDED` at the deadline, `PERMISSION_DENIED` if the policy
/// refused, `UNAUTHENTICATED` after a 401, `RESOURCE_EXHAUSTED` after the last
/// poll, `CANCELLED` if the caller waits no more, `INTERNAL` for an answer
/// that cannot be read, and for a job that ended without an answer the code
/// of its end.
///
/// ```
/// use http_polling::JobState;
///
/// fn is_worth_submitting_again(error: &tower_poll::Error) -> bool {
///     matches!(error.job_state(), Some(JobState::Lost | JobState::Expired))
/// }
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    source: Option<BoxError>,
    problem: Option<Problem>,
    pending_job: Option<PendingJob>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Service,
    Poll,
    Deadline,
    TooLate { delay: Duration },
    TooManyPolls,
    ForeignLocation,
    BadLocation,
    Refused { is_cross_origin: bool },
    BadAnswer,
    Unauthorized,
    Stopped,
    NotCancellable,
    NotCancelled(StatusCode),
    UnknownDialect,
    Job(JobState),
}

impl Error {
    fn new(kind: Kind) -> Self {
        Self(Box::new(Inner {
            kind,
            source: None,
            problem: None,
            pending_job: None,
        }))
    }

    fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn with_pending_job(mut self, job: Option<PendingJob>) -> Self {
        self.0.pending_job = job;
        self
    }

    /// The service failed at the submission.
    pub(crate) fn service(source: impl Into<BoxError>) -> Self {
        Self::new(Kind::Service).with_source(source)
    }

    /// The service failed at a poll.
    pub(crate) fn poll(source: impl Into<BoxError>) -> Self {
        Self::new(Kind::Poll).with_source(source)
    }

    pub(crate) fn deadline() -> Self {
        Self::new(Kind::Deadline)
    }

    /// The next poll would be `delay` from now, which is after the deadline.
    pub(crate) fn too_late(delay: Duration) -> Self {
        Self::new(Kind::TooLate { delay })
    }

    pub(crate) fn too_many_polls() -> Self {
        Self::new(Kind::TooManyPolls)
    }

    pub(crate) fn foreign_location() -> Self {
        Self::new(Kind::ForeignLocation)
    }

    pub(crate) fn bad_location(source: LocationError) -> Self {
        Self::new(Kind::BadLocation).with_source(source)
    }

    pub(crate) fn refused(refusal: Refusal) -> Self {
        let is_cross_origin = refusal.is_cross_origin();
        Self::new(Kind::Refused { is_cross_origin }).with_source(refusal)
    }

    /// A dialect could not read an answer.
    pub(crate) fn bad_answer(source: impl Into<BoxError>) -> Self {
        Self::new(Kind::BadAnswer).with_source(source)
    }

    /// 401 on a poll.
    pub(crate) fn unauthorized() -> Self {
        Self::new(Kind::Unauthorized)
    }

    /// There are no new credentials after a 401.
    pub(crate) fn not_refreshed(source: impl Into<BoxError>) -> Self {
        Self::new(Kind::Unauthorized).with_source(source)
    }

    pub(crate) fn stopped() -> Self {
        Self::new(Kind::Stopped)
    }

    pub(crate) fn not_cancellable() -> Self {
        Self::new(Kind::NotCancellable)
    }

    pub(crate) fn not_cancelled(status: StatusCode) -> Self {
        Self::new(Kind::NotCancelled(status))
    }

    pub(crate) fn unknown_dialect() -> Self {
        Self::new(Kind::UnknownDialect)
    }

    pub(crate) fn job(state: JobState, problem: Option<Problem>) -> Self {
        let mut error = Self::new(Kind::Job(state));
        error.0.problem = problem;
        error
    }

    /// With a status as its source, if the caller speaks gRPC and tonic's
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
    /// whatever reason. The source is the [`Refusal`].
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

    /// Whether a poll was answered with 401, and there is no
    /// [new authorization](crate::PollLayer::refresh) or that was refused
    /// too.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        self.0.kind == Kind::Unauthorized
    }

    /// Whether the caller did not want to wait any more
    /// ([`Cancellation`](crate::Cancellation), [`DoNotWait`](crate::DoNotWait)).
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self.0.kind, Kind::Stopped | Kind::NotCancellable)
    }

    /// Whether the caller wanted the job to be cancelled, and there is nothing
    /// that DELETE would cancel. No request was made: see
    /// [`Cancellation::cancel_remotely`](crate::Cancellation::cancel_remotely).
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

    /// The problem document (RFC 9457) that the server sent with
    /// [`job_state`](Self::job_state), if it sent one of up to 64 KiB.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        self.0.problem.as_ref()
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

    /// The job that was accepted and may well go on.
    #[must_use]
    pub fn pending_job(&self) -> Option<&PendingJob> {
        self.0.pending_job.as_ref()
    }

    /// The job that was accepted and may well go on.
    #[must_use]
    pub fn into_pending_job(self) -> Option<PendingJob> {
        self.0.pending_job
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind {
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
            Kind::Unauthorized => f.write_str("a poll was refused for want of authorization"),
            Kind::Stopped => f.write_str("the caller waits no more"),
            Kind::NotCancellable => f.write_str("there is no job that DELETE would cancel"),
            Kind::NotCancelled(status) => {
                write!(f, "the server did not cancel the job: {status}")
            }
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

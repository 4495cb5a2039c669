//! The kinds of problems that job resources report.

use http::StatusCode;

use crate::job_state::JobState;

/// The kind of a problem, which the `type` of a [`Problem`](crate::Problem)
/// names.
///
/// ```
/// use http::StatusCode;
/// use http_polling::ProblemType;
///
/// let kind = ProblemType::JobExpired;
/// assert_eq!(kind.uri(), "urn:http-polling:problem:job-expired");
/// assert_eq!(kind.status(), StatusCode::GONE);
/// assert_eq!(ProblemType::from_uri(kind.uri()), Some(kind));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemType {
    /// The job ended without the handler's answer. 500.
    JobFailed,
    /// The job was stopped at its deadline. 504.
    JobTimedOut,
    /// The worker that ran the job is gone. 500.
    JobLost,
    /// The job was cancelled on request. 410.
    JobCancelled,
    /// The job ended, and its result is no longer stored. 410.
    JobExpired,
    /// The job does not exist, or the client may not see it. 404.
    JobUnknown,
    /// The handler's response exceeds the size limit of results. 500.
    ResultTooLarge,
    /// The server accepts no more work at present. 503.
    CapacityExhausted,
    /// The client has reached its limit of pending work. 429.
    QuotaExceeded,
    /// The client polled the job too often or too early. 429.
    PolledTooOften,
    /// The store of the jobs cannot be reached at present. 503.
    StoreUnavailable,
    /// The stored record of the job cannot be read. 500.
    RecordUnreadable,
    /// The job's URL does not support the method. 405.
    MethodNotAllowed,
    /// The request exceeds the size limit of stored requests. 413.
    RequestTooLarge,
    /// A header field of the request is invalid. 400.
    RequestInvalid,
    /// The request's body did not arrive in time. 408.
    RequestTimeout,
    /// The path of the request exceeds the size limit of stored paths. 414.
    TargetTooLong,
    /// The idempotency key is too long or malformed. 400.
    IdempotencyKeyInvalid,
    /// The idempotency key belongs to another request. 422.
    IdempotencyKeyReused,
}

impl ProblemType {
    const ALL: [Self; 19] = [
        Self::JobFailed,
        Self::JobTimedOut,
        Self::JobLost,
        Self::JobCancelled,
        Self::JobExpired,
        Self::JobUnknown,
        Self::ResultTooLarge,
        Self::CapacityExhausted,
        Self::QuotaExceeded,
        Self::PolledTooOften,
        Self::StoreUnavailable,
        Self::RecordUnreadable,
        Self::MethodNotAllowed,
        Self::RequestTooLarge,
        Self::RequestInvalid,
        Self::RequestTimeout,
        Self::TargetTooLong,
        Self::IdempotencyKeyInvalid,
        Self::IdempotencyKeyReused,
    ];

    /// Returns the URI in `type`. It is a name that cannot be dereferenced.
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::JobFailed => "urn:http-polling:problem:job-failed",
            Self::JobTimedOut => "urn:http-polling:problem:job-timed-out",
            Self::JobLost => "urn:http-polling:problem:job-lost",
            Self::JobCancelled => "urn:http-polling:problem:job-cancelled",
            Self::JobExpired => "urn:http-polling:problem:job-expired",
            Self::JobUnknown => "urn:http-polling:problem:job-unknown",
            Self::ResultTooLarge => "urn:http-polling:problem:result-too-large",
            Self::CapacityExhausted => "urn:http-polling:problem:capacity-exhausted",
            Self::QuotaExceeded => "urn:http-polling:problem:quota-exceeded",
            Self::PolledTooOften => "urn:http-polling:problem:polled-too-often",
            Self::StoreUnavailable => "urn:http-polling:problem:store-unavailable",
            Self::RecordUnreadable => "urn:http-polling:problem:record-unreadable",
            Self::MethodNotAllowed => "urn:http-polling:problem:method-not-allowed",
            Self::RequestTooLarge => "urn:http-polling:problem:request-too-large",
            Self::RequestInvalid => "urn:http-polling:problem:request-invalid",
            Self::RequestTimeout => "urn:http-polling:problem:request-timeout",
            Self::TargetTooLong => "urn:http-polling:problem:target-too-long",
            Self::IdempotencyKeyInvalid => "urn:http-polling:problem:idempotency-key-invalid",
            Self::IdempotencyKeyReused => "urn:http-polling:problem:idempotency-key-reused",
        }
    }

    /// Returns the summary in `title`, which is the same for every problem of
    /// this kind.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::JobFailed => "The job failed",
            Self::JobTimedOut => "The job ran past its deadline",
            Self::JobLost => "The job was lost",
            Self::JobCancelled => "The job was cancelled",
            Self::JobExpired => "The job's result has expired",
            Self::JobUnknown => "There is no such job",
            Self::ResultTooLarge => "The job's result is too large",
            Self::CapacityExhausted => "No capacity is left",
            Self::QuotaExceeded => "The quota is exceeded",
            Self::PolledTooOften => "The job was polled too often",
            Self::StoreUnavailable => "Jobs cannot be reached",
            Self::RecordUnreadable => "The job's record cannot be read",
            Self::MethodNotAllowed => "The method is not allowed",
            Self::RequestTooLarge => "The request is too large",
            Self::RequestInvalid => "A header of the request is invalid",
            Self::RequestTimeout => "The request did not come in time",
            Self::TargetTooLong => "The path of the request is too long",
            Self::IdempotencyKeyInvalid => "The idempotency key is invalid",
            Self::IdempotencyKeyReused => "The idempotency key is taken by another request",
        }
    }

    /// Returns the status code of an answer with this problem.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::JobFailed | Self::JobLost | Self::ResultTooLarge | Self::RecordUnreadable => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::JobTimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::JobCancelled | Self::JobExpired => StatusCode::GONE,
            Self::JobUnknown => StatusCode::NOT_FOUND,
            Self::CapacityExhausted | Self::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::QuotaExceeded | Self::PolledTooOften => StatusCode::TOO_MANY_REQUESTS,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::RequestInvalid | Self::IdempotencyKeyInvalid => StatusCode::BAD_REQUEST,
            Self::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// Returns the kind that `uri` names, or `None` if it names none of these.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.uri() == uri)
    }

    /// Returns the problem that the resource of a job in `state` answers with.
    ///
    /// Returns `None` for states that are not problems: pending and done.
    ///
    /// ```
    /// use http_polling::{JobState, ProblemType};
    ///
    /// assert_eq!(ProblemType::of(JobState::Lost), Some(ProblemType::JobLost));
    /// assert_eq!(ProblemType::of(JobState::Done), None);
    /// ```
    #[must_use]
    pub const fn of(state: JobState) -> Option<Self> {
        match state {
            JobState::Queued | JobState::Running | JobState::Done => None,
            JobState::Failed => Some(Self::JobFailed),
            JobState::TimedOut => Some(Self::JobTimedOut),
            JobState::Lost => Some(Self::JobLost),
            JobState::Cancelled => Some(Self::JobCancelled),
            JobState::Expired => Some(Self::JobExpired),
            JobState::Unknown => Some(Self::JobUnknown),
        }
    }
}

#[cfg(test)]
mod tests;

//! The names of the exchanges that a check consists of.

use http::Method;

/// A request of the check, by its purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    // The job that runs to its end, while it is pending.
    Submitted,
    PendingStatus,
    /// A poll with the query of `Location`.
    PendingByLocation,
    /// A poll without the hints in the query.
    Pending,
    PendingHead,
    PendingConditional,
    PendingRange,
    OtherHost,
    ForwardedHost,
    Options,
    OtherMethod,
    Page,
    Script,
    Program,
    CrossOrigin,
    Preflight,
    Stranger(Moment, Way),
    /// The question of the same stranger for a job that does not exist.
    StrangerUnknown(Moment, Way),
    AfterStranger,
    CapitalId,
    LongerId,
    UnknownJob,
    UnknownStatus,

    // Its end.
    Held,
    Polled,
    DoneStatus,
    DoneHead,
    Done,
    DoneAgain,
    DonePage,
    NotModified,
    Precondition,
    Range,
    RangeBeyond,
    IfRange,
    SeveralRanges,
    UnreadableRange,
    DeleteRefused,
    Deleted,
    AfterDelete,

    // A job that is cancelled.
    CancelSubmitted,
    Early,
    Cancelled,
    CancelledJob,
    CancelledStatus,
    CancelledDropped,
    CancelledGone,

    // A job with an idempotency key.
    KeySubmitted,
    KeyRepeated,
    KeyMalformed,
    KeyChanged,
    KeyCancelled,
    KeyDropped,
    KeyGone,
    KeyRepeatedAfter,

    // Other submissions.
    BrowserSubmitted,
    WaitSubmitted,
    DeadlineMalformed,
    DeadlineSubmitted,
    DeadlineEnded,
    EventStream,
    TargetHead,
    TargetOptions,

    /// The deletion of a job at the end of the check.
    CleanedUp,
}

/// The time at which a stranger asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Moment {
    Pending,
    Ended,
}

/// A way of asking for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Way {
    Get,
    Head,
    Status,
    Options,
    Patch,
    Delete,
}

impl Way {
    pub(super) const ALL: [Self; 6] = [
        Self::Get,
        Self::Head,
        Self::Status,
        Self::Options,
        Self::Patch,
        Self::Delete,
    ];

    pub(super) fn method(self) -> Method {
        match self {
            Self::Get | Self::Status => Method::GET,
            Self::Head => Method::HEAD,
            Self::Options => Method::OPTIONS,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
        }
    }
}

impl Step {
    /// Returns whether the request is the user's own, so that it may create a job.
    pub(super) fn is_submission(self) -> bool {
        matches!(
            self,
            Self::Submitted
                | Self::CancelSubmitted
                | Self::KeySubmitted
                | Self::KeyRepeated
                | Self::KeyMalformed
                | Self::KeyChanged
                | Self::KeyRepeatedAfter
                | Self::BrowserSubmitted
                | Self::WaitSubmitted
                | Self::DeadlineMalformed
                | Self::DeadlineSubmitted
                | Self::EventStream
        )
    }

    /// Returns whether the request is for a status document.
    pub(super) fn is_status(self) -> bool {
        matches!(
            self,
            Self::PendingStatus
                | Self::DoneStatus
                | Self::CancelledStatus
                | Self::UnknownStatus
                | Self::AfterStranger
                | Self::Stranger(_, Way::Status)
                | Self::StrangerUnknown(_, Way::Status)
        )
    }

    /// Returns whether the request is for the URL of the user's own request, without being a
    /// submission.
    pub(super) fn is_at_target(self) -> bool {
        matches!(self, Self::TargetHead | Self::TargetOptions)
    }
}

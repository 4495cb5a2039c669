//! The parts of a check that can be left out.

/// A part of a check. The job that runs to its end is always part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scenario {
    /// Polls of a pending job.
    Pending,
    /// Questions of another principal.
    Stranger,
    /// The end of the job, and its result.
    End,
    /// A job that is cancelled.
    Cancel,
    /// A job with an idempotency key.
    Key,
    /// A submission of a browser, with forwarding fields of an attacker.
    Browser,
    /// A submission that asks for an inline wait.
    Wait,
    /// A job with a deadline.
    Deadline,
    /// Requests that are never deferred.
    NeverDeferred,
}

impl Scenario {
    pub(super) const ALL: [Self; 9] = [
        Self::Pending,
        Self::Stranger,
        Self::End,
        Self::Cancel,
        Self::Key,
        Self::Browser,
        Self::Wait,
        Self::Deadline,
        Self::NeverDeferred,
    ];

    /// Returns the maximum number of times that the user's request is sent, beside the job that
    /// runs to its end.
    pub(super) fn submissions(self) -> u32 {
        match self {
            Self::Pending | Self::Stranger | Self::End => 0,
            Self::Cancel | Self::Browser | Self::Wait | Self::NeverDeferred => 1,
            Self::Deadline => 2,
            Self::Key => 5,
        }
    }
}

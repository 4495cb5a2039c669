//! The reasons to stop the work of a job.

/// The reason why a job is [cancelled](crate::JobContext::is_cancelled).
///
/// ```
/// use tower_async_job::{CancelReason, JobContext};
///
/// let job = JobContext::inert();
/// let runs_again = matches!(
///     job.cancel_reason(),
///     Some(CancelReason::Shutdown | CancelReason::LeaseLost)
/// );
/// assert!(!runs_again);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CancelReason {
    /// The call is over: its handler has answered, or the handler's future was dropped.
    Over,
    /// The node shuts down, and releases the job: it runs again on another node, or ends as lost.
    Shutdown,
    /// A client or an operator has cancelled the job, on any node.
    Requested,
    /// The job's [deadline](crate::Builder::job_deadline) has passed.
    DeadlinePassed,
    /// The node has lost the lease on the job, or could not renew it in time. Another node may run
    /// the job, and nothing of this run is stored.
    LeaseLost,
}

impl CancelReason {
    /// Returns the place of the reason in their order, from 1.
    pub(super) fn rank(self) -> u8 {
        self as u8 + 1
    }

    pub(super) fn from_rank(rank: u8) -> Option<Self> {
        Some(match rank {
            0 => return None,
            1 => Self::Over,
            2 => Self::Shutdown,
            3 => Self::Requested,
            4 => Self::DeadlinePassed,
            _ => Self::LeaseLost,
        })
    }
}

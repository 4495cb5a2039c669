use crate::JobId;

/// The right to run one job, until the store gives it to somebody else.
///
/// A job's epoch rises each time the right changes hands, and with every end that did not come
/// from the holder. The holder's writes name the epoch, so those of a worker that has been
/// replaced change nothing, even where the same worker claimed the job again.
///
/// ```
/// use tower_async_job_core::{JobId, Lease};
///
/// let first = Lease::new(JobId::random(), 1);
/// let second = Lease::new(first.id, 2);
/// assert_ne!(first, second);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The job.
    pub id: JobId,
    /// Which holding of the right this is. The first is 1.
    pub epoch: u64,
}

impl Lease {
    /// The lease with this epoch, for stores and for tests; making one gives no right.
    pub const fn new(id: JobId, epoch: u64) -> Self {
        Self { id, epoch }
    }
}

/// What became of one lease that was to be renewed.
///
/// ```
/// use tower_async_job_core::Renewal;
///
/// let answers = [Renewal::Held, Renewal::Lost];
/// assert_eq!(answers.iter().filter(|answer| answer.is_held()).count(), 1);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Renewal {
    /// The lease holds, for another lease duration from now.
    Held,
    /// The lease is lost: the run is to be aborted, and nothing of it stored.
    Lost,
}

impl Renewal {
    /// Whether the lease holds.
    pub const fn is_held(self) -> bool {
        matches!(self, Self::Held)
    }
}

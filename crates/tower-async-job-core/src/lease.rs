use std::time::Duration;

use http_polling::JobState;
use sha2::{Digest, Sha256};

use crate::id::JobId;

/// The right to run one job, until the store gives it to another holder.
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
    /// The number of this holding of the right. The first is 1.
    pub epoch: u64,
}

impl Lease {
    /// Makes the lease with this epoch, for stores and for tests; making one gives no right.
    pub const fn new(id: JobId, epoch: u64) -> Self {
        Self { id, epoch }
    }
}

/// The fate of one lease that was to be renewed.
///
/// ```
/// use tower_async_job_core::Renewal;
///
/// let answers = [Renewal::Held, Renewal::Cancelled];
/// assert_eq!(answers.iter().filter(|answer| answer.is_held()).count(), 1);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Renewal {
    /// The lease holds, for another lease duration from now.
    Held,
    /// The job was cancelled: the run is to be stopped, and nothing of it stored.
    Cancelled,
    /// The store has no record of the job, as after a failover that lost writes. The run goes on,
    /// and may store its job anew with a higher [epoch](crate::NewJob::epoch). A job that was
    /// discarded or removed is not missing, but lost.
    Missing,
    /// The lease is lost for another reason: another holder took the job over, or it has ended.
    /// The run is to be stopped, and nothing of it stored.
    Lost,
}

impl Renewal {
    /// Returns whether the lease holds.
    pub const fn is_held(self) -> bool {
        matches!(self, Self::Held)
    }
}

/// The terms on which leases are given up before their jobs have ended.
///
/// By default the job may be run again at once, and the run counts as an attempt.
///
/// ```
/// use std::time::Duration;
/// use tower_async_job_core::Release;
///
/// let deploy = Release::default().with_counts(false);
/// assert_eq!((deploy.after, deploy.counts), (Duration::ZERO, false));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The time from now before which the job is not claimed. Zero by default.
    pub after: Duration,
    /// Whether the run counts as an attempt. `true` by default.
    pub counts: bool,
    /// The party outside that goes on with the run. `None` by default: a worker does.
    pub outside: Option<Outside>,
}

impl Default for Release {
    fn default() -> Self {
        Self {
            after: Duration::ZERO,
            counts: true,
            outside: None,
        }
    }
}

impl Release {
    /// Sets the time from now before which the job is not claimed.
    #[must_use]
    pub fn with_after(mut self, after: Duration) -> Self {
        self.after = after;
        self
    }

    /// Sets whether the run counts as an attempt.
    #[must_use]
    pub fn with_counts(mut self, counts: bool) -> Self {
        self.counts = counts;
        self
    }

    /// Leaves the run to a party outside, which keeps the attempt.
    #[must_use]
    pub fn with_outside(mut self, outside: Outside) -> Self {
        self.outside = Some(outside);
        self
    }
}

/// A party outside of all nodes that goes on with a run, as a service that delivers its result
/// later. It shows a token to any node, which acts for it.
///
/// ```
/// use std::time::Duration;
/// use tower_async_job_core::Outside;
///
/// let outside = Outside::new("4f0c…", Duration::from_secs(600));
/// assert_eq!(outside.token, Outside::digest("4f0c…"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outside {
    /// The [digest](Self::digest) of its token, which is all that is stored of it.
    pub token: [u8; 32],
    /// The time from now for which no other may take the job over. The job's deadline ends it
    /// sooner.
    pub until: Duration,
}

impl Outside {
    /// Names the party that has this token, for so long.
    pub fn new(token: impl AsRef<[u8]>, until: Duration) -> Self {
        Self {
            token: Self::digest(token),
            until,
        }
    }

    /// Returns the SHA-256 of a token.
    pub fn digest(token: impl AsRef<[u8]>) -> [u8; 32] {
        Sha256::digest(token).into()
    }
}

/// The fate of one job whose lease was to be given up.
///
/// ```
/// use http_polling::JobState;
/// use tower_async_job_core::Released;
///
/// assert_ne!(Released::Ended(JobState::Lost), Released::Lost);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The job is queued again.
    Queued,
    /// The job goes on, in the hands of the party outside.
    Outside,
    /// The job has ended in this state, since no worker may run it again.
    Ended(JobState),
    /// The lease was lost before.
    Lost,
}

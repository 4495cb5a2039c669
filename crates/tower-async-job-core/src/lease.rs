use std::time::Duration;

use http_polling::JobState;
use sha2::{Digest, Sha256};

use crate::id::JobId;

/// The right to run one job, until the store gives it to another holder.
///
/// A job's epoch rises each time the right changes hands, and with every end that did not come from
/// the holder. The holder's writes name the epoch, so those of a replaced worker change nothing,
/// even if the same worker claimed the job again.
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
    /// The number of this holder, from 1.
    pub epoch: u64,
}

impl Lease {
    /// Creates the lease with this epoch, for stores and tests. It confers no right by itself.
    pub const fn new(id: JobId, epoch: u64) -> Self {
        Self { id, epoch }
    }
}

/// The result of renewing one lease.
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
    /// The lease is held, for another lease duration from now.
    Held,
    /// The job was cancelled: stop the run, and store nothing of it.
    Cancelled,
    /// The store has no record of the job, such as after a failover that lost writes. The run
    /// continues, and may store its job again with a higher [epoch](crate::NewJob::epoch). A job
    /// that was discarded or removed is lost instead.
    Missing,
    /// The lease was lost otherwise: another holder took the job over, or it has ended. Stop the
    /// run, and store nothing of it.
    Lost,
}

impl Renewal {
    /// Returns whether the lease is held.
    pub const fn is_held(self) -> bool {
        matches!(self, Self::Held)
    }
}

/// The terms on which leases are released before their jobs have ended.
///
/// By default the job may be re-run at once, and the run counts as an attempt.
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
    /// The time from now until the job may be claimed. Zero by default.
    pub after: Duration,
    /// True, the default, if the run counts as an attempt.
    pub counts: bool,
    /// The outside party that continues the run. `None` by default: a worker re-runs the job.
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
    /// Sets the time from now until the job may be claimed.
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

    /// Sets the outside party that continues the run, which keeps the attempt.
    #[must_use]
    pub fn with_outside(mut self, outside: Outside) -> Self {
        self.outside = Some(outside);
        self
    }
}

/// Returns the time from the end of a lost lease until its job may be claimed, by the number of
/// runs that have begun: a node may have crashed because of the job.
///
/// The first re-run need not wait. Each later one waits for 1 s, then 2 s, 4 s, at most a minute;
/// up to half of it is left out at random, so that jobs of one node are not all claimed together.
///
/// ```
/// use std::time::Duration;
/// use tower_async_job_core::pause_after_loss;
///
/// assert_eq!(pause_after_loss(1), Duration::ZERO);
/// let pause = pause_after_loss(3);
/// assert!(pause >= Duration::from_secs(1) && pause <= Duration::from_secs(2));
/// ```
pub fn pause_after_loss(attempts: u32) -> Duration {
    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(60);
    let Some(doublings) = attempts.checked_sub(2) else {
        return Duration::ZERO;
    };
    let longest = (FIRST * (1 << doublings.min(6))).min(LONGEST);
    let share = f64::from(JobId::random().to_bits() as u8) / f64::from(u8::MAX);
    longest.mul_f64(0.5 + share / 2.0)
}

/// A party outside of all nodes that continues a run, such as a service that delivers its result
/// later. It shows a token to any node, which acts for it.
///
/// ```
/// use std::time::Duration;
/// use tower_async_job_core::Outside;
///
/// let outside = Outside::new("4f0c…", Duration::from_secs(600));
/// assert_eq!(outside.token, Outside::digest("4f0c…"));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outside {
    /// The [digest](Self::digest) of its token, which itself is not stored.
    pub token: [u8; 32],
    /// The time from now for which no worker may take the job over. The job's deadline applies too.
    pub until: Duration,
}

impl Outside {
    /// Creates the party that has this token, for this time.
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

/// The result of releasing one lease.
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
    /// The job continues with the outside party.
    Outside,
    /// The job has ended in this state, since no worker may re-run it.
    Ended(JobState),
    /// The lease was lost already.
    Lost,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_after_lost_leases_double_up_to_a_minute() {
        assert_eq!([0, 1].map(pause_after_loss), [Duration::ZERO; 2]);
        for (attempts, seconds) in [(2, 1), (3, 2), (5, 8), (8, 60), (u32::MAX, 60)] {
            let longest = Duration::from_secs(seconds);
            let pause = pause_after_loss(attempts);
            assert!(
                (longest / 2..=longest).contains(&pause),
                "{attempts}: {pause:?}"
            );
        }
    }
}

//! Deadlines in the order in which they pass.

use std::{collections::BTreeSet, ops::RangeInclusive};

use tokio::time::Instant;
use tower_async_job_core::JobId;

/// The time at which a job is woken, in microseconds from the registry's origin; unique together
/// with the job's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Deadline(pub(super) u64);

/// The time of the next check of deadlines.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NextDeadline {
    /// More have passed.
    Now,
    At(Instant),
    /// There are none, and the watch is over.
    Never,
}

/// Deadlines, each with the first half of its job's id, which is nearly unique and takes half the space.
#[derive(Default)]
pub(super) struct Deadlines(BTreeSet<(Deadline, u64)>);

impl Deadlines {
    /// Adds a deadline. Returns it, later by some microseconds if another job has the same.
    pub(super) fn add(&mut self, id: &JobId, mut deadline: Deadline) -> Deadline {
        while !self.0.insert((deadline, half(id))) {
            deadline.0 += 1;
        }
        deadline
    }

    pub(super) fn remove(&mut self, id: &JobId, deadline: Deadline) {
        self.0.remove(&(deadline, half(id)));
    }

    /// Returns the first deadline.
    pub(super) fn first(&self) -> Option<Deadline> {
        self.0.first().map(|(deadline, _)| *deadline)
    }

    /// Removes the first deadline. Returns the ids among which its job's is.
    pub(super) fn pop_first(&mut self) -> Option<RangeInclusive<JobId>> {
        let (_, half) = self.0.pop_first()?;
        let first = u128::from(half) << 64;
        Some(JobId::from_bits(first)..=JobId::from_bits(first | u128::from(u64::MAX)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Returns the first half of an id.
fn half(id: &JobId) -> u64 {
    (id.to_bits() >> 64) as u64
}

//! The times by which a job is found.

use super::{Entry, Hold, Phase};
use crate::memory::clock::{Micros, NEVER};

/// The positions of a job in a shard's time-ordered indexes. `NEVER` is not indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::memory) struct Places {
    /// The time of its next change.
    pub(in crate::memory) due: Micros,
    /// The time from which it may be claimed.
    pub(in crate::memory) free: Micros,
    /// The time from which its notification may be claimed.
    pub(in crate::memory) notify: Micros,
    /// The time when it is forgotten.
    pub(in crate::memory) forgotten: Micros,
    /// The second in which its result was last delivered, in microseconds.
    pub(in crate::memory) delivered: Micros,
}

impl Places {
    pub(in crate::memory) const NONE: Self = Self {
        due: NEVER,
        free: NEVER,
        notify: NEVER,
        forgotten: NEVER,
        delivered: NEVER,
    };
}

impl Entry {
    pub(in crate::memory) fn places(&self) -> Places {
        let mut places = Places::NONE;
        match &self.phase {
            Phase::Pending(pending) => match pending.hold {
                Hold::Held { until } => places.due = until,
                Hold::Free { since } => {
                    places.due = pending.deadline;
                    places.free = since;
                }
            },
            Phase::Ended {
                expires, delivered, ..
            } => {
                places.due = *expires;
                places.delivered = delivered.at();
                places.notify = self.notify_due();
            }
            Phase::Dropped { expires, .. } => {
                places.due = *expires;
                places.notify = self.notify_due();
            }
            Phase::Expired { forgotten, .. } => places.forgotten = *forgotten,
        }
        places
    }
}

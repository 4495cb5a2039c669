//! The leases that expire without renewal.

use std::{
    collections::BTreeMap,
    ops::{Bound, RangeInclusive},
};

use tower_async_job_core::{JobId, Lease};

use super::deadline::{Deadline, Deadlines};

/// The most leases that are renewed together.
pub(super) const BATCH: usize = 1_000;

/// The leases of the runs that are entered, one for each job.
#[derive(Default)]
pub(super) struct Leases(BTreeMap<JobId, Held>);

struct Held {
    epoch: u64,
    /// The time at which the run is stopped, unless the lease is renewed before.
    stop: Deadline,
    /// The time among the deadlines at which the lease is looked at. A renewal does not change it,
    /// so that it takes no room in their order.
    noted: Deadline,
}

/// The kind of a deadline that has passed.
pub(super) enum Passed {
    /// That of a job.
    OfJob,
    /// That of a lease that has been renewed since.
    Renewed,
    /// That of this job's lease, whose run must be stopped.
    Over(JobId),
}

impl Leases {
    /// Adds a lease, in place of another one of the same job. Returns its time among the deadlines.
    pub(super) fn insert(
        &mut self,
        lease: Lease,
        stop: Deadline,
        deadlines: &mut Deadlines,
    ) -> Deadline {
        self.remove(&lease.id, deadlines);
        let noted = deadlines.add(&lease.id, stop);
        let held = Held {
            epoch: lease.epoch,
            stop,
            noted,
        };
        self.0.insert(lease.id, held);
        noted
    }

    pub(super) fn remove(&mut self, id: &JobId, deadlines: &mut Deadlines) {
        if let Some(held) = self.0.remove(id) {
            deadlines.remove(id, held.noted);
        }
    }

    /// Puts off the time at which the run of a job is stopped.
    pub(super) fn renew(&mut self, id: &JobId, stop: Deadline) {
        if let Some(held) = self.0.get_mut(id) {
            held.stop = stop.max(held.stop);
        }
    }

    /// Looks at a deadline that has passed, of one of these jobs. A lease that was renewed since gets a
    /// new deadline.
    pub(super) fn look(
        &mut self,
        passed: Deadline,
        ids: RangeInclusive<JobId>,
        now: Deadline,
        deadlines: &mut Deadlines,
    ) -> Passed {
        let mut alike = self.0.range_mut(ids);
        let Some((id, held)) = alike.find(|(_, held)| held.noted == passed) else {
            return Passed::OfJob;
        };
        if held.stop <= now {
            return Passed::Over(*id);
        }
        held.noted = deadlines.add(id, held.stop);
        Passed::Renewed
    }

    /// Returns the next leases, those of the ids after this one.
    pub(super) fn after(&self, id: Option<JobId>) -> Vec<Lease> {
        let leases = self.0.range(behind(id)).take(BATCH);
        leases
            .map(|(id, held)| Lease::new(*id, held.epoch))
            .collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Returns the range of the ids after this one.
pub(super) fn behind(id: Option<JobId>) -> (Bound<JobId>, Bound<JobId>) {
    (
        id.map_or(Bound::Unbounded, Bound::Excluded),
        Bound::Unbounded,
    )
}

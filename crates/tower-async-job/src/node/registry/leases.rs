//! The leases of the jobs in this process.

use tokio::time::Instant;
use tower_async_job_core::{JobId, Lease, Renewal};

use super::{Deadline, Jobs, Registry, behind, half, ids_with, note};
use crate::{
    context::{job::JobContext, reason::CancelReason},
    time::after,
};

/// The number of leases that are renewed at once.
pub(super) const LEASES: usize = 1_000;

/// A lease that expires without renewal.
pub(super) struct Held {
    pub(super) epoch: u64,
    /// The time at which its run is stopped without renewal.
    stop: Deadline,
    /// Its time among the deadlines, which renewals do not update.
    pub(super) noted: Deadline,
}

/// The result of the check for a lease at a deadline.
pub(super) enum Looked {
    /// The deadline is that of a job.
    NoLease,
    Renewed,
    Over(Option<JobContext>),
}

impl Jobs {
    /// Returns whether this is, or was, the lease of the entered run.
    pub(super) fn is_entered(&self, lease: &Lease) -> bool {
        let held = self.leases.get(&lease.id);
        held.is_none_or(|held| held.epoch == lease.epoch)
    }

    pub(super) fn context_of(&self, lease: &Lease) -> Option<JobContext> {
        let context = self.contexts.get(&lease.id);
        context.filter(|_| self.is_entered(lease)).cloned()
    }

    /// Checks the lease noted at this time, if there is one. Returns its run's context if the run
    /// must be stopped.
    pub(super) fn look_at_lease(&mut self, noted: Deadline, half: u64, now: Deadline) -> Looked {
        let mut alike = self.leases.range_mut(ids_with(half));
        let Some((id, held)) = alike.find(|(_, held)| held.noted == noted) else {
            return Looked::NoLease;
        };
        if held.stop <= now {
            return Looked::Over(self.contexts.get(id).cloned());
        }
        held.noted = note(&mut self.deadlines, id, held.stop);
        Looked::Renewed
    }
}

impl Registry {
    /// Enters a lease that lasts from then, if leases expire.
    pub(super) fn hold(&self, jobs: &mut Jobs, lease: Lease, since: Instant) {
        let Some(kept) = self.lease_kept else {
            return;
        };
        let stop = self.deadline_at(after(since, kept));
        let noted = note(&mut jobs.deadlines, &lease.id, stop);
        self.comes_nearer(jobs, noted);
        let held = Held {
            epoch: lease.epoch,
            stop,
            noted,
        };
        if let Some(old) = jobs.leases.insert(lease.id, held) {
            jobs.deadlines.remove(&(old.noted, half(&lease.id)));
        }
    }

    /// Returns some of the leases to be renewed, with ids after this one.
    pub(crate) fn leases_after(&self, id: Option<JobId>) -> Vec<Lease> {
        let jobs = self.jobs();
        let leases = jobs.leases.range(behind(id)).take(LEASES);
        leases
            .map(|(id, held)| Lease::new(*id, held.epoch))
            .collect()
    }

    pub(crate) fn has_leases(&self) -> bool {
        !self.jobs().leases.is_empty()
    }

    /// Replaces a run's lease by a new one that lasts from then.
    pub(crate) fn replace(&self, old: &Lease, new: Lease, since: Instant) {
        let mut jobs = self.jobs();
        if jobs.context_of(old).is_some() {
            self.hold(&mut jobs, new, since);
        }
    }

    /// Applies the result of a renewal, sent at a time, to its run.
    pub(crate) fn renewed(&self, lease: &Lease, renewal: Renewal, sent: Instant) {
        let mut jobs = self.jobs();
        let Some(context) = jobs.context_of(lease) else {
            return;
        };
        if renewal.is_held()
            && let Some(held) = jobs.leases.get_mut(&lease.id)
            && let Some(kept) = self.lease_kept
        {
            held.stop = self.deadline_at(after(sent, kept)).max(held.stop);
        }
        drop(jobs);
        match renewal {
            Renewal::Held => {}
            Renewal::Cancelled => context.cancel(CancelReason::Requested),
            Renewal::Missing if self.lease_kept.is_some() => context.set_missing(true),
            // It is being stored again, at a higher epoch.
            _ if context.is_missing() => {}
            _ => context.cancel(CancelReason::LeaseLost),
        }
    }
}

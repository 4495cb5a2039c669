//! The jobs of this process: by id, by deadline and by lease.

use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};
use tower_async_job_core::{JobId, Lease, Renewal};

pub(crate) use self::deadline::{Deadline, NextDeadline};
use self::{
    deadline::Deadlines,
    leases::{Leases, Passed, behind},
};
use crate::{
    context::{job::JobContext, reason::CancelReason},
    time::after,
};

mod deadline;
mod leases;

/// The number of jobs visited under one lock and in one poll of a task.
const SLICE: usize = 256;

/// The number of jobs woken at once at their deadlines. Their tasks end them before others run, and
/// each takes about 15 µs.
const WAKES: usize = 64;

/// All jobs that this process runs.
///
/// - Each job has one entry: that of the run with the highest epoch. If the store gives the lease of a
///   job to another run in this process, the earlier run is stopped, and can no longer change the
///   entry or the lease.
/// - A lease counts from before its request or renewal was sent. A run is stopped when a tenth of the
///   lease is left, by the task that watches the deadlines, even if every call to the store hangs.
///
/// They are in ordered maps: a hash table of a million jobs blocks its thread for tens of
/// milliseconds when it grows.
pub(crate) struct Registry {
    /// The time for which a run continues without renewals, if leases expire.
    lease_kept: Option<Duration>,
    jobs: Mutex<Jobs>,
    /// The number of jobs, readable without the lock.
    pending: AtomicUsize,
    /// The origin of deadlines, which are kept in microseconds to halve their size.
    origin: Instant,
    /// Notified when the first deadline moves forward, and when there are none left.
    changed: Arc<Notify>,
}

#[derive(Default)]
struct Jobs {
    runs: BTreeMap<JobId, Entered>,
    /// The deadlines of jobs, and the times at which leases are checked.
    deadlines: Deadlines,
    leases: Leases,
    watched: bool,
    /// The deadline until which it sleeps.
    next: Option<Deadline>,
}

/// The run of a job that has its entry.
struct Entered {
    epoch: u64,
    context: JobContext,
}

impl Entered {
    fn context(&self) -> JobContext {
        self.context.clone()
    }
}

impl Jobs {
    /// Returns a job that can have the deadlines watched again, if there are any without a watch.
    fn next_without_watch(&self) -> Option<JobContext> {
        let first = self.runs.values().next().filter(|_| !self.watched);
        first.map(Entered::context)
    }

    /// Notes that the job has ended in the store: no lease of its run is renewed or can be lost.
    fn has_ended(&mut self, id: &JobId) {
        self.leases.remove(id, &mut self.deadlines);
    }

    /// Returns the entry of the run with this lease, unless another run has it.
    fn entered(&mut self, lease: &Lease) -> Option<&mut Entered> {
        let run = self.runs.get_mut(&lease.id);
        run.filter(|run| run.epoch == lease.epoch)
    }
}

impl Registry {
    /// Creates a registry for a store whose leases last for `lease`.
    pub(crate) fn new(lease: Option<Duration>) -> Self {
        Self {
            lease_kept: lease.map(|lease| lease - lease / 10),
            jobs: Mutex::default(),
            pending: AtomicUsize::new(0),
            origin: Instant::now(),
            changed: Arc::default(),
        }
    }

    /// Returns the number of jobs running or queued in this process.
    pub(crate) fn pending(&self) -> usize {
        self.pending.load(Ordering::Relaxed)
    }

    /// Adds a run, whose lease lasts from then. Returns its deadline, and whether the caller must
    /// start to watch the deadlines.
    pub(crate) fn insert(
        &self,
        lease: Lease,
        context: JobContext,
        deadline: Instant,
        since: Instant,
    ) -> (Deadline, bool) {
        let mut jobs = self.jobs();
        let later = jobs.runs.get(&lease.id);
        let superseded = if later.is_some_and(|run| run.epoch > lease.epoch) {
            Some(context)
        } else {
            let epoch = lease.epoch;
            let superseded = jobs.runs.insert(lease.id, Entered { epoch, context });
            if superseded.is_none() {
                self.pending.fetch_add(1, Ordering::Relaxed);
            }
            self.hold(&mut jobs, lease, since);
            superseded.map(|run| run.context)
        };
        let added = self.add_deadline(&mut jobs, &lease.id, deadline);
        drop(jobs);
        if let Some(context) = superseded {
            context.cancel(CancelReason::LeaseLost);
        }
        added
    }

    pub(crate) fn remove(&self, lease: &Lease, deadline: Deadline) {
        let mut jobs = self.jobs();
        let id = &lease.id;
        jobs.deadlines.remove(id, deadline);
        let mut entered = None;
        if jobs.entered(lease).is_some() {
            entered = jobs.runs.remove(id);
            jobs.has_ended(id);
        }
        if jobs.watched && jobs.deadlines.is_empty() {
            // An idle node has no task and no timer.
            self.changed.notify_one();
        }
        // A job that was woken to restart the watch may be gone with its runtime.
        let waiting = jobs.next_without_watch();
        drop(jobs);
        if let Some(context) = waiting {
            context.set_due();
        }
        if entered.is_some() {
            self.pending.fetch_sub(1, Ordering::Relaxed);
        }
        // The last clone may run foreign code when dropped, which must not happen under the lock.
        drop(entered);
    }

    /// Changes a job's deadline; returns the same as [`insert`](Self::insert).
    pub(crate) fn reschedule(&self, id: &JobId, old: Deadline, new: Instant) -> (Deadline, bool) {
        let mut jobs = self.jobs();
        jobs.deadlines.remove(id, old);
        self.add_deadline(&mut jobs, id, new)
    }

    fn add_deadline(&self, jobs: &mut Jobs, id: &JobId, deadline: Instant) -> (Deadline, bool) {
        let deadline = jobs.deadlines.add(id, self.deadline_at(deadline));
        self.comes_nearer(jobs, deadline);
        (deadline, !mem::replace(&mut jobs.watched, true))
    }

    /// Enters a lease that lasts from then, if leases expire.
    fn hold(&self, jobs: &mut Jobs, lease: Lease, since: Instant) {
        if let Some(kept) = self.lease_kept {
            let stop = self.deadline_at(after(since, kept));
            let noted = jobs.leases.insert(lease, stop, &mut jobs.deadlines);
            self.comes_nearer(jobs, noted);
        }
    }

    /// Wakes the watching task for a new deadline, if that is the first.
    fn comes_nearer(&self, jobs: &Jobs, deadline: Deadline) {
        if jobs.next.is_some_and(|next| deadline < next) {
            self.changed.notify_one();
        }
    }

    /// Rounds up, so that no deadline is early.
    fn deadline_at(&self, time: Instant) -> Deadline {
        let since = time.saturating_duration_since(self.origin);
        let part = since.subsec_nanos().div_ceil(1_000).into();
        let micros = since.as_secs().checked_mul(1_000_000);
        let micros = micros.and_then(|micros| micros.checked_add(part));
        Deadline(micros.unwrap_or(u64::MAX / 2))
    }

    pub(crate) fn has_passed(&self, deadline: Deadline, now: Instant) -> bool {
        self.passed(now) >= deadline
    }

    /// Returns the last deadline that has passed. Rounds down, so that no job is woken before its
    /// deadline and then never again.
    fn passed(&self, now: Instant) -> Deadline {
        let since = now.saturating_duration_since(self.origin);
        Deadline(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    /// Returns the notification of the first deadline moving forward, or of none being left.
    pub(crate) fn changed(&self) -> Arc<Notify> {
        self.changed.clone()
    }

    /// Wakes the tasks of jobs whose deadline has passed, and stops those whose lease nearly has,
    /// within the limits of one poll.
    pub(crate) fn wake_due(&self, now: Instant) -> NextDeadline {
        let (mut due, mut lost) = (Vec::new(), Vec::new());
        let mut looks = 0;
        let passed = self.passed(now);
        let mut jobs = self.jobs();
        let next = loop {
            match jobs.deadlines.first() {
                None => {
                    jobs.watched = looks > 0;
                    jobs.next = None;
                    break if jobs.watched {
                        NextDeadline::Now
                    } else {
                        NextDeadline::Never
                    };
                }
                Some(deadline) if deadline > passed => {
                    jobs.next = Some(deadline);
                    break NextDeadline::At(self.origin + Duration::from_micros(deadline.0));
                }
                Some(_) if looks >= WAKES => break NextDeadline::Now,
                Some(deadline) => {
                    looks += 1;
                    let Jobs {
                        runs,
                        deadlines,
                        leases,
                        ..
                    } = &mut *jobs;
                    let Some(ids) = deadlines.pop_first() else {
                        continue;
                    };
                    match leases.look(deadline, ids.clone(), passed, deadlines) {
                        Passed::Renewed => {}
                        Passed::Over(id) => lost.extend(runs.get(&id).map(Entered::context)),
                        Passed::OfJob => {
                            due.extend(runs.range(ids).map(|(_, run)| run.context()));
                        }
                    }
                }
            }
        };
        drop(jobs);
        due.iter().for_each(JobContext::set_due);
        for context in lost {
            context.cancel(CancelReason::LeaseLost);
        }
        next
    }

    /// Notes that the watching task is gone. A job is woken, to start another task by
    /// [`watch`](Self::watch).
    pub(crate) fn unwatched(&self) {
        let mut jobs = self.jobs();
        jobs.watched = false;
        jobs.next = None;
        let waiting = jobs.next_without_watch();
        drop(jobs);
        if let Some(context) = waiting {
            context.set_due();
        }
    }

    /// Returns whether the caller must start to watch the deadlines.
    pub(crate) fn watch(&self) -> bool {
        let mut jobs = self.jobs();
        !jobs.deadlines.is_empty() && !mem::replace(&mut jobs.watched, true)
    }

    /// Returns the next leases that are to be renewed: those of the ids after this one.
    pub(crate) fn leases_after(&self, id: Option<JobId>) -> Vec<Lease> {
        self.jobs().leases.after(id)
    }

    /// Returns whether a run with a later lease of the same job is here.
    pub(crate) fn has_later(&self, lease: &Lease) -> bool {
        let jobs = self.jobs();
        let run = jobs.runs.get(&lease.id);
        run.is_some_and(|run| run.epoch > lease.epoch)
    }

    /// Returns whether there are leases to renew.
    pub(crate) fn has_leases(&self) -> bool {
        !self.jobs().leases.is_empty()
    }

    /// Enters the new lease of a run whose record was missing, which lasts from then, in place of an
    /// old one.
    pub(crate) fn replace(&self, old: &Lease, new: Lease, since: Instant) {
        let mut jobs = self.jobs();
        let Some(run) = jobs.entered(old) else {
            return;
        };
        run.epoch = new.epoch;
        let context = run.context();
        self.hold(&mut jobs, new, since);
        drop(jobs);
        context.set_missing(false);
    }

    /// Applies the answer to a renewal that was sent at a time: puts off the end of the run, or stops
    /// it.
    pub(crate) fn renewed(&self, lease: &Lease, renewal: Renewal, sent: Instant) {
        let mut jobs = self.jobs();
        let Some(run) = jobs.entered(lease) else {
            return;
        };
        let context = run.context();
        if renewal.is_held()
            && let Some(kept) = self.lease_kept
        {
            let stop = self.deadline_at(after(sent, kept));
            jobs.leases.renew(&lease.id, stop);
        }
        if renewal == Renewal::Cancelled {
            jobs.has_ended(&lease.id);
        }
        drop(jobs);
        match renewal {
            // It has been found again.
            Renewal::Held if context.is_missing() => context.set_missing(false),
            Renewal::Held => {}
            Renewal::Cancelled => context.cancel(CancelReason::Requested),
            Renewal::Missing if self.lease_kept.is_some() => context.set_missing(true),
            // The run is storing its job again, with a higher epoch.
            _ if context.is_missing() => {}
            _ => context.cancel(CancelReason::LeaseLost),
        }
    }

    /// Notifies the handler of a job that it is cancelled, as already stored, if it runs here.
    pub(crate) fn cancel(&self, id: &JobId) -> bool {
        let mut jobs = self.jobs();
        jobs.has_ended(id);
        let context = jobs.runs.get(id).map(Entered::context);
        drop(jobs);
        if let Some(context) = &context {
            context.cancel(CancelReason::Requested);
        }
        context.is_some()
    }

    /// Stops some jobs, with ids after this one, so that they are released. Returns the last of
    /// them; `None` if there was none.
    pub(crate) fn abandon_after(&self, id: Option<JobId>) -> Option<JobId> {
        let running: Vec<(JobId, JobContext)> = {
            let jobs = self.jobs();
            let running = jobs.runs.range(behind(id)).take(SLICE);
            running.map(|(id, run)| (*id, run.context())).collect()
        };
        for (_, context) in &running {
            context.cancel(CancelReason::Shutdown);
        }
        running.last().map(|(id, _)| *id)
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Ends the task that watches the deadlines.
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests;

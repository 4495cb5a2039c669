//! The jobs that this process runs: by id, by deadline and by lease.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    ops::{Bound, RangeInclusive},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};
use tower_async_job_core::{JobId, Lease};

use crate::context::job::JobContext;

/// The number of jobs that are gone through under one lock and in one turn of a task.
const SLICE: usize = 256;

/// The number of jobs that are woken at once at their deadlines. Their tasks end them before others
/// have a turn, and each takes some 15 µs.
const WAKES: usize = 64;

/// The number of leases that are renewed at once.
const LEASES: usize = 1_000;

/// All jobs that this process runs.
///
/// They are kept in ordered maps: a hash table of a million jobs holds its thread for tens of
/// milliseconds when it grows.
pub(crate) struct Registry {
    jobs: Mutex<Jobs>,
    /// The number of jobs, to be read without the lock.
    pending: AtomicUsize,
    /// Deadlines are kept in microseconds from here, in half of the room.
    origin: Instant,
    /// Notified when the first deadline has come nearer, and when there is none any more.
    changed: Arc<Notify>,
}

#[derive(Default)]
struct Jobs {
    contexts: BTreeMap<JobId, JobContext>,
    /// With the first half of the job's id, which is all but unique and takes half of the room.
    deadlines: BTreeSet<(Deadline, u64)>,
    /// The leases that end unless they are renewed.
    leases: BTreeMap<JobId, Held>,
    /// There is a task that watches the deadlines.
    watched: bool,
    /// The deadline that it sleeps until.
    next: Option<Deadline>,
}

/// The time at which a job is woken, in microseconds from the registry's origin; unique together
/// with the job's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Deadline(u64);

struct Held {
    lease: Lease,
    /// The last time at which the lease was known to be held.
    renewed: Instant,
}

/// The time at which deadlines are looked at again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NextDeadline {
    /// More have passed.
    Now,
    At(Instant),
    /// There is none, and nothing watches for any from now on.
    Never,
}

impl Jobs {
    /// A job that can have the deadlines watched again, if there are any and nothing does.
    fn next_without_watch(&self) -> Option<JobContext> {
        let mut contexts = self.contexts.values();
        contexts.next().filter(|_| !self.watched).cloned()
    }
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            jobs: Mutex::default(),
            pending: AtomicUsize::new(0),
            origin: Instant::now(),
            changed: Arc::default(),
        }
    }

    /// Returns the number of jobs that this process runs or has queued.
    pub(crate) fn pending(&self) -> usize {
        self.pending.load(Ordering::Relaxed)
    }

    /// Adds a job. Returns its deadline, and whether nothing watches the deadlines yet, which is
    /// then up to the caller.
    pub(crate) fn insert(
        &self,
        lease: Lease,
        context: JobContext,
        deadline: Instant,
        renews: bool,
    ) -> (Deadline, bool) {
        let mut jobs = self.jobs();
        if jobs.contexts.insert(lease.id, context).is_none() {
            self.pending.fetch_add(1, Ordering::Relaxed);
        }
        if renews {
            let renewed = Instant::now();
            jobs.leases.insert(lease.id, Held { lease, renewed });
        }
        self.add_deadline(&mut jobs, &lease.id, deadline)
    }

    pub(crate) fn remove(&self, id: &JobId, deadline: Deadline) {
        let mut jobs = self.jobs();
        jobs.leases.remove(id);
        jobs.deadlines.remove(&(deadline, half(id)));
        let context = jobs.contexts.remove(id);
        if jobs.watched && jobs.deadlines.is_empty() {
            // An idle node has neither task nor timer.
            self.changed.notify_one();
        }
        // A job that was woken to have the deadlines watched again may have gone with its runtime.
        let waiting = jobs.next_without_watch();
        drop(jobs);
        if let Some(context) = waiting {
            context.set_due();
        }
        if context.is_some() {
            self.pending.fetch_sub(1, Ordering::Relaxed);
        }
        // The last one of a handler's may run foreign code: not to be dropped under the lock.
        drop(context);
    }

    /// Gives a job another deadline; returns as [`insert`](Self::insert) does.
    pub(crate) fn reschedule(&self, id: &JobId, old: Deadline, new: Instant) -> (Deadline, bool) {
        let mut jobs = self.jobs();
        jobs.deadlines.remove(&(old, half(id)));
        self.add_deadline(&mut jobs, id, new)
    }

    fn add_deadline(&self, jobs: &mut Jobs, id: &JobId, deadline: Instant) -> (Deadline, bool) {
        // Rounded up, so that it does not come early.
        let since = deadline.saturating_duration_since(self.origin);
        let micros = since.as_nanos().div_ceil(1_000);
        let mut deadline = Deadline(u64::try_from(micros).unwrap_or(u64::MAX / 2));
        // Another job may have the very same.
        while !jobs.deadlines.insert((deadline, half(id))) {
            deadline.0 += 1;
        }
        if jobs.next.is_some_and(|next| deadline < next) {
            self.changed.notify_one();
        }
        (deadline, !mem::replace(&mut jobs.watched, true))
    }

    /// Returns whether a deadline has passed.
    pub(crate) fn has_passed(&self, deadline: Deadline, now: Instant) -> bool {
        // Rounded down, so that no job is woken before its deadline, and then never again.
        let since = now.saturating_duration_since(self.origin);
        since.as_micros() >= u128::from(deadline.0)
    }

    /// Notified when the first deadline has come nearer, and when there is none any more.
    pub(crate) fn changed(&self) -> Arc<Notify> {
        self.changed.clone()
    }

    /// Wakes the tasks of jobs whose deadline has passed, so many at most as one turn allows.
    pub(crate) fn wake_due(&self, now: Instant) -> NextDeadline {
        let mut due = Vec::new();
        let mut jobs = self.jobs();
        let next = loop {
            match jobs.deadlines.first().copied() {
                None => {
                    jobs.watched = !due.is_empty();
                    jobs.next = None;
                    break if jobs.watched {
                        NextDeadline::Now
                    } else {
                        NextDeadline::Never
                    };
                }
                Some((deadline, _)) if !self.has_passed(deadline, now) => {
                    jobs.next = Some(deadline);
                    break NextDeadline::At(self.origin + Duration::from_micros(deadline.0));
                }
                Some(_) if due.len() >= WAKES => break NextDeadline::Now,
                Some((_, half)) => {
                    jobs.deadlines.pop_first();
                    let alike = jobs.contexts.range(ids_with(half));
                    due.extend(alike.map(|(_, context)| context.clone()));
                }
            }
        };
        drop(jobs);
        due.iter().for_each(JobContext::set_due);
        next
    }

    /// Notes that the task that watched the deadlines is gone. A job is woken, to have another task
    /// started by [`watch`](Self::watch).
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

    /// Returns whether there are deadlines that nothing watches, which is then up to the caller.
    pub(crate) fn watch(&self) -> bool {
        let mut jobs = self.jobs();
        !jobs.deadlines.is_empty() && !mem::replace(&mut jobs.watched, true)
    }

    /// Some of the leases that are to be renewed: those of the ids after this one.
    pub(crate) fn leases_after(&self, id: Option<JobId>) -> Vec<Lease> {
        let jobs = self.jobs();
        let leases = jobs.leases.range(after(id)).take(LEASES);
        leases.map(|(_, held)| held.lease).collect()
    }

    pub(crate) fn renewed(&self, id: &JobId, at: Instant) {
        if let Some(held) = self.jobs().leases.get_mut(id) {
            held.renewed = at;
        }
    }

    /// Cancels those of these leases' jobs whose leases were not renewed for so long.
    pub(crate) fn cancel_unrenewed(&self, leases: &[Lease], age: Duration) {
        for lease in leases {
            let unrenewed = |held: &Held| held.renewed.elapsed() >= age;
            if self.jobs().leases.get(&lease.id).is_some_and(unrenewed) {
                self.cancel(&lease.id);
            }
        }
    }

    /// Notifies the handler of a job that it is cancelled, if it runs here.
    pub(crate) fn cancel(&self, id: &JobId) {
        // Not a temporary of an `if let`, which would hold the lock while others are woken.
        let context = self.jobs().contexts.get(id).cloned();
        if let Some(context) = context {
            context.cancel();
        }
    }

    /// Gives up some of the jobs, those of the ids after this one, so that they are handed back.
    /// Returns the last of them; `None` if there was none.
    pub(crate) fn abandon_after(&self, id: Option<JobId>) -> Option<JobId> {
        let running: Vec<(JobId, JobContext)> = {
            let jobs = self.jobs();
            let running = jobs.contexts.range(after(id)).take(SLICE);
            running
                .map(|(id, context)| (*id, context.clone()))
                .collect()
        };
        running.iter().for_each(|(_, context)| context.abandon());
        running.last().map(|(id, _)| *id)
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // The task that watches the deadlines is to end.
        self.changed.notify_one();
    }
}

/// The first half of an id.
fn half(id: &JobId) -> u64 {
    (id.to_bits() >> 64) as u64
}

/// All ids with this first half.
fn ids_with(half: u64) -> RangeInclusive<JobId> {
    let first = u128::from(half) << 64;
    JobId::from_bits(first)..=JobId::from_bits(first | u128::from(u64::MAX))
}

fn after(id: Option<JobId>) -> (Bound<JobId>, Bound<JobId>) {
    (
        id.map_or(Bound::Unbounded, Bound::Excluded),
        Bound::Unbounded,
    )
}

#[cfg(test)]
mod tests;

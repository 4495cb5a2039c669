//! The budget for the polls of all pending jobs, in which every principal has its share.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use super::{
    ObservedJob,
    rate::Rate,
    slots::{Polls, Slots},
};

/// The longest delay of a poll, in seconds. With two minutes more it is still within the slots.
const LONGEST: f64 = 900.0;

/// The number of slots tried instead of a full one. Each is full with a probability of at most one
/// half.
const TRIES: usize = 15;

/// The part of a delay above a second by which it is prolonged at most without load. A second stays
/// one, since clients that count whole seconds would round more up to two.
const JITTER: f64 = 1.0 / 64.0;

/// The golden ratio as a fraction of 2⁶⁴. Its multiples are distributed between 0 and 1 more evenly
/// than random numbers.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The announced polls in slots of future time. Polls whose slot is full are delayed.
///
/// A poll is delayed to a slot within twice the time that the pending jobs need for one poll each.
/// As each of them has one poll to come, half of that time is free. The bound also limits the
/// effect of a client that polls without end, and so reserves slots for polls that it never makes.
///
/// Half of the budget is shared equally by the principals. A principal has few jobs if its share
/// allows more polls of each than the whole budget does of all jobs. Its polls are delayed within
/// twice the time that its share needs, and into slots that others have filled. The others make
/// room: the recent usage of such principals, up to half, is kept free of all other polls. So a
/// second exceeds the budget only after principals with few jobs have suddenly become more, and
/// then by at most half.
pub(super) struct Load {
    begun: Instant,
    slots: Slots,
    answers: AtomicU64,
    /// The answers to principals with few jobs.
    few: Rate,
}

impl Load {
    pub(super) fn new(polls_per_second: u32, now: Instant) -> Self {
        Self {
            begun: now,
            slots: Slots::new(polls_per_second),
            answers: AtomicU64::new(0),
            few: Rate::default(),
        }
    }

    /// Returns the delay of an answer, at least `delay`, in seconds.
    pub(super) fn raise(&self, delay: f64, pending: &ObservedJob<'_>) -> f64 {
        let now = pending.now.saturating_duration_since(self.begun);
        let now = now.as_secs_f64();
        let delay = delay + (delay - 1.0).max(0.0) * JITTER * self.fraction();
        match jobs_of_few(pending) {
            Some(jobs) => {
                self.few.count(now as u64);
                let half = self.slots.capacity.div_ceil(2);
                self.put_off(now, delay, jobs, half, |polls| {
                    let fits = polls.few < half || polls.all() < self.slots.capacity;
                    fits.then_some(Polls {
                        few: polls.few + 1,
                        ..polls
                    })
                })
            }
            None => {
                let capacity = self.slots.capacity - self.kept_free(now);
                self.put_off(now, delay, pending.jobs, capacity, |polls| {
                    let fits = polls.many < capacity && polls.all() < self.slots.capacity;
                    fits.then_some(Polls {
                        many: polls.many + 1,
                        ..polls
                    })
                })
            }
        }
    }

    /// Enters a poll after this delay or a longer one: within twice the time that `jobs` need for
    /// one poll each, at the given number of polls per slot.
    fn put_off(
        &self,
        now: f64,
        delay: f64,
        jobs: usize,
        capacity: u32,
        beside: impl Fn(Polls) -> Option<Polls>,
    ) -> f64 {
        if self.slots.enter(now, delay, &beside) {
            return delay;
        }
        let needed = jobs as f64 * self.slots.length / f64::from(capacity);
        let span = (2.0 * needed).min(LONGEST);
        let mut raised = delay;
        for _ in 0..TRIES {
            raised = delay + span * self.fraction();
            if self.slots.enter(now, raised, &beside) {
                break;
            }
        }
        raised
    }

    /// Returns the part of a slot that is reserved for principals with few jobs.
    fn kept_free(&self, now: f64) -> u32 {
        let recent = f64::from(self.few.per_second(now as u64)) * self.slots.length;
        (recent.round() as u32).min(self.slots.capacity / 2)
    }

    fn fraction(&self) -> f64 {
        let answer = self.answers.fetch_add(1, Ordering::Relaxed);
        (answer.wrapping_mul(GOLDEN) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Returns the number of jobs if every principal had as many as this one, if that is less than half
/// of the actual number.
fn jobs_of_few(pending: &ObservedJob<'_>) -> Option<usize> {
    let jobs = pending.own_jobs.saturating_mul(pending.principals);
    (pending.principals > 1 && jobs < pending.jobs / 2).then_some(jobs)
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load")
            .field("slot", &self.slots.length)
            .field("capacity", &self.slots.capacity)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

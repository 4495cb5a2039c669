//! The polls of all pending jobs together are kept within a budget, of which every principal has its
//! share.

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

/// The longest that a poll is put off, in seconds. With a delay of two minutes it is still kept
/// count of.
const LONGEST: f64 = 900.0;

/// The slots that are tried in place of one that is full. Each is full with a chance of one half at
/// most.
const TRIES: usize = 15;

/// The part of what a delay is above a second by which it is prolonged at most when there is no
/// load to speak of. A second stays one, since clients in whole seconds would make two of more.
const JITTER: f64 = 1.0 / 64.0;

/// The golden ratio as a fraction of 2⁶⁴. Its multiples fall evenly between 0 and 1, however many
/// are taken: evener than random numbers.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Keeps count of the polls that clients were told to make, slot by slot of the time to come, and
/// puts polls off whose slot is full.
///
/// A poll is put off to somewhere within twice the time that the pending jobs need for one poll
/// each. As each of them has one poll to come, half of that time is free. The bound is also what
/// keeps a client that polls without end, and has slots kept for polls that it was told to make
/// and never makes, from putting off those of others by more.
///
/// Half of the budget is shared equally by the principals. One with few jobs, so few that its share
/// allows more polls of each than the whole budget does of all jobs, is put off to within twice the
/// time that its share needs, and into slots that others have filled. These make room: what such
/// principals have used recently, up to half, is kept free of the polls of all others. So a second
/// has more polls than the budget only after principals with few jobs have become more at once, and
/// then half as many again at most.
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

    /// The delay of an answer, at least `delay`, in seconds.
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

    /// Enters a poll after this delay, or else after a longer one: within twice the time that so many
    /// jobs need for one poll each, with so many polls in a slot.
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

    /// The part of a slot that is kept for principals with few jobs.
    fn kept_free(&self, now: f64) -> u32 {
        let recent = f64::from(self.few.per_second(now as u64)) * self.slots.length;
        (recent.round() as u32).min(self.slots.capacity / 2)
    }

    fn fraction(&self) -> f64 {
        let answer = self.answers.fetch_add(1, Ordering::Relaxed);
        (answer.wrapping_mul(GOLDEN) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The number of jobs that there would be if every principal had as many as this one, where that is
/// less than half of those that there are.
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

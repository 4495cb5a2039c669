//! The polls of all pending jobs together are kept within a budget.

use std::{
    fmt,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// How many slots of the future are kept count of: 1,024 s.
const SLOTS: u64 = 8192;

/// A second has so many. One more is touched by the seconds that begin within a slot.
const SLOTS_PER_SECOND: u32 = 8;

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
pub(super) struct Load {
    begun: Instant,
    /// In seconds.
    slot: f64,
    capacity: u32,
    /// By the number of the slot modulo their count: in the upper half which round it is, in the
    /// lower half how many polls are to come in it.
    slots: Box<[AtomicU32]>,
    answers: AtomicU64,
}

impl Load {
    /// With nine polls per second and more, there is no second with more than that. With fewer it
    /// is so on average.
    pub(super) fn new(polls_per_second: u32, now: Instant) -> Self {
        let touched = SLOTS_PER_SECOND + 1;
        let capacity = (polls_per_second / touched).clamp(1, u32::from(u16::MAX));
        let slot = if polls_per_second >= touched {
            f64::from(SLOTS_PER_SECOND).recip()
        } else {
            f64::from(polls_per_second.max(1)).recip()
        };
        Self {
            begun: now,
            slot,
            capacity,
            slots: (0..SLOTS).map(|_| AtomicU32::new(0)).collect(),
            answers: AtomicU64::new(0),
        }
    }

    /// The delay of an answer, at least `delay`, in seconds, while so many jobs are pending.
    pub(super) fn raise(&self, delay: f64, jobs: usize, now: Instant) -> f64 {
        let now = now.saturating_duration_since(self.begun).as_secs_f64();
        let delay = delay + (delay - 1.0).max(0.0) * JITTER * self.fraction();
        if self.take(now, delay) {
            return delay;
        }
        let needed = jobs as f64 * self.slot / f64::from(self.capacity);
        let span = (2.0 * needed).min(LONGEST);
        let mut raised = delay;
        for _ in 0..TRIES {
            raised = delay + span * self.fraction();
            if self.take(now, raised) {
                break;
            }
        }
        raised
    }

    /// Takes a place for a poll so long from now; false if there is none.
    fn take(&self, now: f64, delay: f64) -> bool {
        let number = ((now + delay) / self.slot) as u64;
        if number >= (now / self.slot) as u64 + SLOTS {
            return true;
        }
        let slot = &self.slots[(number % SLOTS) as usize];
        let round = ((number / SLOTS) as u32) << 16;
        let taken = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |polls| {
            let count = if polls & !0xffff == round {
                polls & 0xffff
            } else {
                0
            };
            (count < self.capacity).then_some(round | (count + 1))
        });
        taken.is_ok()
    }

    fn fraction(&self) -> f64 {
        let answer = self.answers.fetch_add(1, Ordering::Relaxed);
        (answer.wrapping_mul(GOLDEN) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load")
            .field("slot", &self.slot)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

/// As [`Duration::from_secs_f64`], for all numbers.
pub(super) fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(if seconds > 0.0 {
        Duration::MAX
    } else {
        Duration::ZERO
    })
}

//! The number of events in the last second or the current one.

use std::sync::atomic::{AtomicU64, Ordering};

/// The bits of a count. The second, modulo 2²⁴, has the remaining bits.
const BITS: u32 = 20;
const MOST: u64 = (1 << BITS) - 1;

#[derive(Debug, Default)]
pub(super) struct Rate {
    /// The second of the last event, the events in it, and those of the second before.
    counts: AtomicU64,
}

impl Rate {
    pub(super) fn count(&self, second: u64) {
        let counted = self
            .counts
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |counts| {
                let (current, previous) = unpack(counts, second);
                let current = (current + 1).min(MOST);
                Some(second << (2 * BITS) | current << BITS | previous)
            });
        debug_assert!(counted.is_ok(), "the function always gives a value");
    }

    /// Returns the events of the second before, or those of this one if they are more.
    pub(super) fn per_second(&self, second: u64) -> u32 {
        let (current, previous) = unpack(self.counts.load(Ordering::Relaxed), second);
        current.max(previous) as u32
    }
}

/// Returns the counts of this second and the one before.
fn unpack(counts: u64, second: u64) -> (u64, u64) {
    let (current, previous) = (counts >> BITS & MOST, counts & MOST);
    let of = counts >> (2 * BITS);
    match (second << (2 * BITS) >> (2 * BITS)).wrapping_sub(of) {
        0 => (current, previous),
        1 => (0, current),
        _ => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_that_of_the_second_before_or_of_this_one() {
        let rate = Rate::default();
        for (second, events) in [(7, 3), (8, 5)] {
            (0..events).for_each(|_| rate.count(second));
        }
        let seen = [8, 9, 10].map(|second| rate.per_second(second));
        assert_eq!(seen, [5, 5, 0]);
        rate.count(9);
        assert_eq!(rate.per_second(9), 5);
        rate.count(1 << 24 | 20);
        assert_eq!(rate.per_second(1 << 24 | 21), 1);
    }
}

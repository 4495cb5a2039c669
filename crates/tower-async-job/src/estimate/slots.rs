//! Future time in slots, with the announced polls in each.

use std::sync::atomic::{AtomicU64, Ordering};

/// The number of slots: 1,024 s.
const SLOTS: u64 = 8192;

/// The number of slots per second. A second that begins within a slot touches one more.
const PER_SECOND: u32 = 8;

/// The announced polls, slot by slot.
pub(super) struct Slots {
    /// In seconds.
    pub(super) length: f64,
    pub(super) capacity: u32,
    /// Indexed by the number of the slot modulo their count: the round in the upper half, the
    /// [`Polls`] in the lower half.
    slots: Box<[AtomicU64]>,
}

/// The polls of a slot: of principals with few jobs, and of all others.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Polls {
    pub(super) few: u32,
    pub(super) many: u32,
}

impl Polls {
    pub(super) fn all(self) -> u32 {
        self.few + self.many
    }

    fn unpack(slot: u64) -> Self {
        Self {
            few: (slot >> 16) as u32 & 0xffff,
            many: slot as u32 & 0xffff,
        }
    }

    fn pack(self) -> u64 {
        u64::from(self.few << 16 | self.many)
    }
}

impl Slots {
    /// Creates slots with the capacity for a budget. From nine polls per second on, no second
    /// exceeds the budget if no slot exceeds its capacity. Below that, it holds on average.
    pub(super) fn new(polls_per_second: u32) -> Self {
        let touched = PER_SECOND + 1;
        let per_second = if polls_per_second >= touched {
            PER_SECOND
        } else {
            polls_per_second.max(1)
        };
        Self {
            length: f64::from(per_second).recip(),
            capacity: (polls_per_second / touched).clamp(1, u32::from(u16::MAX)),
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Enters a poll at this delay. The function receives the polls of its slot and returns them
    /// with the new one, or `None` to refuse it, which returns `false`.
    pub(super) fn enter(
        &self,
        now: f64,
        delay: f64,
        beside: impl Fn(Polls) -> Option<Polls>,
    ) -> bool {
        let number = ((now + delay) / self.length) as u64;
        if number >= (now / self.length) as u64 + SLOTS {
            return true;
        }
        let slot = &self.slots[(number % SLOTS) as usize];
        let round = (number / SLOTS) << 32;
        let entered = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |slot| {
            let polls = if slot & !0xffff_ffff == round {
                Polls::unpack(slot)
            } else {
                Polls::default()
            };
            beside(polls).map(|polls| round | polls.pack())
        });
        entered.is_ok()
    }
}

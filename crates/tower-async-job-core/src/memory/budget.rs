use super::queue::Queue;
use crate::{
    error::StoreLimit,
    properties::Usage,
    sync::{AtomicUsize, Ordering},
};

/// The use of all jobs of a store together, and its limits.
///
/// The counters order nothing else: the data that they count is behind the shards' locks.
#[derive(Debug)]
pub(super) struct Budget {
    jobs: Counter,
    bytes: Counter,
    tombstones: Counter,
    pub(super) queue: Queue,
}

impl Budget {
    pub(super) fn new(max_jobs: usize, max_bytes: usize, max_tombstones: usize) -> Self {
        Self {
            jobs: Counter::new(max_jobs),
            bytes: Counter::new(max_bytes),
            tombstones: Counter::new(max_tombstones),
            queue: Queue::default(),
        }
    }

    /// Takes room if there is enough of both.
    pub(super) fn reserve(&self, room: Room) -> Option<Reservation<'_>> {
        if !self.jobs.try_add(room.jobs) {
            return None;
        }
        if !self.bytes.try_add(room.bytes) {
            self.jobs.remove(room.jobs);
            return None;
        }
        Some(Reservation { budget: self, room })
    }

    /// Returns whether there is room.
    pub(super) fn has(&self, room: Room) -> bool {
        self.jobs.has(room.jobs) && self.bytes.has(room.bytes)
    }

    /// Returns whether an empty store would have room.
    pub(super) fn may_have(&self, room: Room) -> bool {
        room.jobs <= self.jobs.max && room.bytes <= self.bytes.max
    }

    /// Returns the limit that is reached.
    pub(super) fn limit(&self, room: Room) -> StoreLimit {
        if self.jobs.has(room.jobs) {
            self.bytes.limit("max_bytes")
        } else {
            self.jobs.limit("max_jobs")
        }
    }

    pub(super) fn usage(&self) -> Usage {
        Usage::new(self.bytes.value.load(Ordering::Relaxed), self.bytes.max)
    }

    /// Accounts for a job that took `before` and now takes `after`, regardless of the limits.
    pub(super) fn settle(&self, before: Room, after: Room) {
        self.jobs.change(before.jobs, after.jobs);
        self.bytes.change(before.bytes, after.bytes);
    }

    pub(super) fn add_tombstone(&self) {
        self.tombstones.add(1);
    }

    pub(super) fn remove_tombstone(&self) {
        self.tombstones.remove(1);
    }

    pub(super) fn has_too_many_tombstones(&self) -> bool {
        self.tombstones.is_over()
    }
}

/// An amount of jobs and of bytes of payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) jobs: usize,
    pub(super) bytes: usize,
}

/// Room that is taken and not used yet; dropping it releases it.
#[derive(Debug)]
pub(super) struct Reservation<'a> {
    budget: &'a Budget,
    room: Room,
}

impl Reservation<'_> {
    /// Transfers the room to the next account.
    pub(super) fn spend(mut self) -> Room {
        std::mem::take(&mut self.room)
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.budget.settle(self.room, Room::default());
    }
}

#[derive(Debug)]
struct Counter {
    value: AtomicUsize,
    max: usize,
}

impl Counter {
    fn new(max: usize) -> Self {
        Self {
            value: AtomicUsize::new(0),
            max,
        }
    }

    fn has(&self, amount: usize) -> bool {
        let value = self.value.load(Ordering::Relaxed);
        amount <= self.max.saturating_sub(value)
    }

    fn limit(&self, setting: &'static str) -> StoreLimit {
        StoreLimit::new(setting, self.max as u64)
    }

    fn try_add(&self, amount: usize) -> bool {
        let add = |value: usize| value.checked_add(amount).filter(|sum| *sum <= self.max);
        amount == 0
            || self
                .value
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
                .is_ok()
    }

    fn add(&self, amount: usize) {
        self.value.fetch_add(amount, Ordering::Relaxed);
    }

    fn remove(&self, amount: usize) {
        self.value.fetch_sub(amount, Ordering::Relaxed);
    }

    fn change(&self, before: usize, after: usize) {
        if after > before {
            self.add(after - before);
        } else if before > after {
            self.remove(before - after);
        }
    }

    fn is_over(&self) -> bool {
        self.value.load(Ordering::Relaxed) > self.max
    }
}

//! Jobs in the order of times.

use std::{collections::BTreeSet, ops::Bound};

use crate::memory::{
    clock::{Micros, NEVER},
    entries::Slot,
    entry::Places,
};

/// Slots in the order of a time.
#[derive(Debug, Default)]
pub(super) struct Index(BTreeSet<(Micros, Slot)>);

/// The indexes of a shard, one for each of a job's [`Places`].
#[derive(Debug, Default)]
pub(super) struct Indexes {
    pub(super) due: Index,
    pub(super) free: Index,
    pub(super) notify: Index,
    pub(super) forgotten: Index,
    pub(super) delivered: Index,
}

impl Indexes {
    /// Moves a job; returns whether a task has become claimable.
    pub(super) fn place(&mut self, slot: Slot, old: Places, new: Places) -> bool {
        self.due.place(slot, old.due, new.due);
        self.forgotten.place(slot, old.forgotten, new.forgotten);
        self.delivered.place(slot, old.delivered, new.delivered);
        self.free.place(slot, old.free, new.free) | self.notify.place(slot, old.notify, new.notify)
    }
}

impl Index {
    pub(super) fn first(&self) -> Option<(Micros, Slot)> {
        self.0.first().copied()
    }

    /// Returns the first slot if its time has come.
    pub(super) fn first_until(&self, now: Micros) -> Option<Slot> {
        let first = self.first().filter(|(time, _)| *time <= now);
        first.map(|(_, slot)| slot)
    }

    /// Returns the places whose time has come, after one of them.
    pub(super) fn until(
        &self,
        behind: Option<(Micros, Slot)>,
        now: Micros,
    ) -> impl Iterator<Item = (Micros, Slot)> {
        let behind = behind.map_or(Bound::Unbounded, Bound::Excluded);
        let until = Bound::Included((now, Slot::MAX));
        self.0.range((behind, until)).copied()
    }

    /// Returns the first time that has not come.
    pub(super) fn next_after(&self, now: Micros) -> Option<Micros> {
        let later = (Bound::Excluded((now, Slot::MAX)), Bound::Unbounded);
        self.0.range(later).next().map(|(time, _)| *time)
    }

    /// Moves a slot; returns whether its position is new.
    fn place(&mut self, slot: Slot, old: Micros, new: Micros) -> bool {
        if old == new {
            return false;
        }
        if old != NEVER {
            self.0.remove(&(old, slot));
        }
        if new != NEVER {
            self.0.insert((new, slot));
        }
        new != NEVER
    }
}

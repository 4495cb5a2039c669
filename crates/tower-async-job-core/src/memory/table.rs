use hashbrown::HashTable;

use super::{
    entries::{Entries, Slot},
    entry::Entry,
};

/// An index of entries by a random part of them, which serves as its own hash.
///
/// It holds slots only, so that a second table costs little. Keys that clients choose are only
/// looked up, never added, so clients cannot cause collisions.
#[derive(Debug)]
pub(super) struct Table {
    slots: HashTable<Slot>,
    hash: fn(&Entry) -> u64,
}

/// The initial capacity, so that a few jobs cause no growth.
const FIRST: usize = 28;

impl Table {
    pub(super) const fn by(hash: fn(&Entry) -> u64) -> Self {
        Self {
            slots: HashTable::new(),
            hash,
        }
    }

    /// Finds an entry with this hash that satisfies the condition.
    pub(super) fn find(
        &self,
        hash: u64,
        entries: &Entries,
        condition: impl Fn(&Entry) -> bool,
    ) -> Option<Slot> {
        let found = |slot: &Slot| condition(&entries[*slot]);
        self.slots.find(hash, found).copied()
    }

    pub(super) fn insert(&mut self, slot: Slot, entries: &Entries) {
        let hash = |slot: &Slot| (self.hash)(&entries[*slot]);
        if self.slots.capacity() == 0 {
            self.slots.reserve(FIRST, hash);
        }
        self.slots.insert_unique(hash(&slot), slot, hash);
    }

    /// Removes an entry that is still in its slot, and frees memory after a burst.
    pub(super) fn remove(&mut self, slot: Slot, entries: &Entries) {
        let hash = |slot: &Slot| (self.hash)(&entries[*slot]);
        if let Ok(found) = self.slots.find_entry(hash(&slot), |known| *known == slot) {
            found.remove();
        }
        let wanted = self.slots.len().max(32) * 2;
        if self.slots.capacity() / 2 > wanted {
            self.slots.shrink_to(wanted, hash);
        }
    }

    /// Prepares for the move of an entry to another slot.
    pub(super) fn renumber(&mut self, from: Slot, to: Slot, entries: &Entries) {
        let hash = (self.hash)(&entries[from]);
        if let Some(slot) = self.slots.find_mut(hash, |known| *known == from) {
            *slot = to;
        }
    }
}

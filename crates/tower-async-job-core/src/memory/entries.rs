use std::ops::{Index, IndexMut};

use super::entry::Entry;

/// The place of an entry in its shard. It changes only by [`Entries::swap_remove`].
pub(super) type Slot = u32;

/// The entries of a shard, without gaps, in blocks of memory that are allocated and freed one by
/// one. So growth copies nothing, and shrinking frees memory.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// All full, except for the last.
    chunks: Vec<Vec<Entry>>,
}

/// The number of entries in a block.
const CHUNK: usize = 16;

impl Entries {
    pub(super) fn len(&self) -> usize {
        let last = self.chunks.last().map_or(0, Vec::len);
        self.chunks.len().saturating_sub(1) * CHUNK + last
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Adds an entry at the end, and returns its slot.
    pub(super) fn push(&mut self, entry: Entry) -> Slot {
        // Four billion entries do not fit into memory.
        let slot = self.len() as Slot;
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(entry),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(entry);
                self.chunks.push(chunk);
            }
        }
        slot
    }

    /// Removes an entry, and moves the last one into its slot.
    ///
    /// # Panics
    ///
    /// Panics if there is none.
    pub(super) fn swap_remove(&mut self, slot: Slot) -> Entry {
        let mut last = self.chunks.pop().expect("there is an entry");
        let moved = last.pop().expect("no chunk is empty");
        if !last.is_empty() {
            self.chunks.push(last);
        }
        if self.len() == slot as usize {
            return moved;
        }
        std::mem::replace(&mut self[slot], moved)
    }

    /// Returns the entries in a range of slots.
    pub(super) fn range(&self, slots: std::ops::Range<usize>) -> impl Iterator<Item = &Entry> {
        slots.map(|slot| &self.chunks[slot / CHUNK][slot % CHUNK])
    }
}

impl Index<Slot> for Entries {
    type Output = Entry;

    fn index(&self, slot: Slot) -> &Entry {
        &self.chunks[slot as usize / CHUNK][slot as usize % CHUNK]
    }
}

impl IndexMut<Slot> for Entries {
    fn index_mut(&mut self, slot: Slot) -> &mut Entry {
        &mut self.chunks[slot as usize / CHUNK][slot as usize % CHUNK]
    }
}

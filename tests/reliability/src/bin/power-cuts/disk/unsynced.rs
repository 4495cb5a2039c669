use std::{
    collections::{HashMap, VecDeque},
    iter,
};

/// The changes that no sync has brought to the disk yet, in their order.
#[derive(Debug)]
pub(super) struct Unsynced<C> {
    changes: VecDeque<C>,
    /// The number of changes that were synced.
    settled: usize,
    /// The numbers of changes before the begin of each sync that has not ended.
    begun: HashMap<u64, usize>,
}

impl<C> Default for Unsynced<C> {
    fn default() -> Self {
        Self {
            changes: VecDeque::new(),
            settled: 0,
            begun: HashMap::new(),
        }
    }
}

impl<C> Unsynced<C> {
    pub(super) fn push(&mut self, change: C) {
        self.changes.push_back(change);
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &C> {
        self.changes.iter()
    }

    /// Begins a sync.
    pub(super) fn begin(&mut self, number: u64) {
        let before = self.settled + self.changes.len();
        self.begun.insert(number, before);
    }

    /// Ends a sync, and removes the changes before its begin, which are on the disk now.
    pub(super) fn end(&mut self, number: u64) -> impl Iterator<Item = C> {
        let before = self.begun.remove(&number).unwrap_or(0);
        let count = before.saturating_sub(self.settled);
        self.settled += count;
        iter::from_fn(|| self.changes.pop_front()).take(count)
    }
}

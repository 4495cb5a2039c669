use std::collections::BTreeSet;

use http_polling::JobState;

use super::{
    budget::{Budget, Room},
    clock::{Micros, SECOND, micros},
    entries::{Entries, Slot},
    entry::{Claimed, Entry, Kinds, Places, Terms},
    keys::Scope,
    table::Table,
    wake::Wake,
};
use crate::{DELIVERED_KEPT, JobHandle, JobId, NewJob, sync::Arc};

/// A part of the jobs, behind one lock.
#[derive(Debug)]
pub(super) struct Shard {
    entries: Entries,
    by_id: Table,
    by_handle: Table,
    due: BTreeSet<(Micros, Slot)>,
    free: BTreeSet<(Micros, Slot)>,
    forgotten: BTreeSet<(Micros, Slot)>,
    delivered: BTreeSet<(Micros, Slot)>,
    kinds: Kinds,
}

/// Work that is left to do once the shard is unlocked.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Aftermath {
    pub(super) wakes: Vec<Arc<Wake>>,
    pub(super) keys: Vec<(Scope, JobId)>,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            entries: Entries::default(),
            by_id: Table::by(|entry| entry.id.hash_bits()),
            by_handle: Table::by(|entry| entry.handle.to_bits()),
            due: BTreeSet::new(),
            free: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            delivered: BTreeSet::new(),
            kinds: Kinds::default(),
        }
    }
}

impl Shard {
    pub(super) fn entry(&self, id: &JobId) -> Option<&Entry> {
        self.slot(id).map(|slot| &self.entries[slot])
    }

    /// At most `limit` entries, those before `end` in an order of the shard's own, and where the
    /// next ones end; `None` after the last.
    ///
    /// An entry that is in the shard from the first part to the last is in one of them at least,
    /// whatever is added and removed meanwhile: what is added stands behind the parts to come, and
    /// what moves into a gap was at the very end before.
    pub(super) fn part(
        &self,
        end: Option<usize>,
        limit: usize,
    ) -> (impl Iterator<Item = &Entry>, Option<usize>) {
        let len = self.entries.len();
        let end = end.map_or(len, |end| end.min(len));
        let start = end.saturating_sub(limit);
        (self.entries.range(start..end), (start > 0).then_some(start))
    }

    /// The job with this handle, if it can be known of.
    pub(super) fn find(&self, handle: JobHandle, now: Micros) -> Option<JobId> {
        let known = |entry: &Entry| entry.handle == handle && entry.state(now).is_some();
        let slot = self
            .by_handle
            .find(handle.to_bits(), &self.entries, known)?;
        Some(self.entries[slot].id)
    }

    /// Where to wait for the end of a pending job. Changes nothing that the indexes speak of.
    pub(super) fn wake_of(&mut self, id: &JobId) -> Option<Arc<Wake>> {
        let slot = self.slot(id)?;
        self.entries[slot].wake()
    }

    /// Adds a job for which room was taken, created now and leased until then. There must be none
    /// of its id.
    pub(super) fn insert(
        &mut self,
        job: NewJob,
        now: Micros,
        wall: u64,
        until: Micros,
        budget: &Budget,
        reserved: Room,
    ) {
        let terms = self.kinds.share(Terms::of(&job));
        let entry = Entry::new(job, terms, now, wall, until);
        let places = entry.places();
        budget.settle(reserved, entry.room());
        let slot = self.entries.push(entry);
        self.by_id.insert(slot, &self.entries);
        self.by_handle.insert(slot, &self.entries);
        self.place(slot, Places::default(), places);
    }

    /// Changes a job, and with it the indexes and the accounts. `reserved` is room that was taken
    /// for the change.
    pub(super) fn edit<R>(
        &mut self,
        id: &JobId,
        budget: &Budget,
        reserved: Room,
        change: impl FnOnce(&mut Entry) -> R,
    ) -> Option<R> {
        let slot = self.slot(id)?;
        Some(self.edit_at(slot, budget, reserved, change))
    }

    fn edit_at<R>(
        &mut self,
        slot: Slot,
        budget: &Budget,
        reserved: Room,
        change: impl FnOnce(&mut Entry) -> R,
    ) -> R {
        let entry = &mut self.entries[slot];
        let (places, room) = (entry.places(), entry.room());
        let result = change(entry);
        let (new_places, new_room) = (entry.places(), entry.room());
        let before = Room {
            jobs: room.jobs + reserved.jobs,
            bytes: room.bytes + reserved.bytes,
        };
        budget.settle(before, new_room);
        if new_places.forgotten.is_some() && places.forgotten.is_none() {
            budget.add_tombstone();
        }
        self.place(slot, places, new_places);
        result
    }

    /// Removes a job altogether.
    pub(super) fn remove(&mut self, id: &JobId, budget: &Budget, aftermath: &mut Aftermath) {
        if let Some(slot) = self.slot(id) {
            self.remove_at(slot, budget, aftermath);
        }
    }

    fn remove_at(&mut self, slot: Slot, budget: &Budget, aftermath: &mut Aftermath) {
        let mut entry = self.take(slot);
        budget.settle(entry.room(), Room::default());
        if entry.places().forgotten.is_some() {
            budget.remove_tombstone();
        }
        aftermath.wakes.extend(entry.take_wake());
        let key = entry.key.take();
        aftermath.keys.extend(key.map(|key| (key.scope, entry.id)));
    }

    /// Takes an entry out of the indexes and out of its slot, into which the last one moves.
    fn take(&mut self, slot: Slot) -> Entry {
        let last = (self.entries.len() - 1) as Slot;
        self.by_id.remove(slot, &self.entries);
        self.by_handle.remove(slot, &self.entries);
        self.place(slot, self.entries[slot].places(), Places::default());
        if slot != last {
            let places = self.entries[last].places();
            self.by_id.renumber(last, slot, &self.entries);
            self.by_handle.renumber(last, slot, &self.entries);
            self.place(last, places, Places::default());
            self.place(slot, Places::default(), places);
        }
        self.entries.swap_remove(slot)
    }

    /// Does what is due, `quota` steps of it at most; returns how many it did.
    pub(super) fn expire(
        &mut self,
        now: Micros,
        quota: usize,
        budget: &Budget,
        aftermath: &mut Aftermath,
    ) -> usize {
        for steps in 0..quota {
            if let Some(slot) = first_until(&self.due, now) {
                self.expire_at(slot, now, budget, aftermath);
            } else if let Some(slot) = first_until(&self.forgotten, now) {
                self.remove_at(slot, budget, aftermath);
            } else {
                return steps;
            }
        }
        quota
    }

    fn expire_at(&mut self, slot: Slot, now: Micros, budget: &Budget, aftermath: &mut Aftermath) {
        let (wake, key) = self.edit_at(slot, budget, Room::default(), |entry| {
            if entry.is_pending() {
                return (entry.lapse(now), None);
            }
            let key = entry.expire(now);
            (None, key.map(|key| (key.scope, entry.id)))
        });
        aftermath.wakes.extend(wake);
        aftermath.keys.extend(key);
        self.forget_surplus(budget, aftermath);
    }

    /// The time from which on the result that was delivered first may be dropped.
    pub(super) fn next_droppable(&self) -> Option<Micros> {
        let (delivered, _) = self.delivered.first()?;
        // It was delivered within the second that began then.
        Some(delivered.saturating_add(micros(DELIVERED_KEPT) + SECOND))
    }

    /// Drops the result that was delivered first, if that may be by now.
    pub(super) fn drop_delivered(
        &mut self,
        now: Micros,
        budget: &Budget,
        aftermath: &mut Aftermath,
    ) {
        if self.next_droppable().is_some_and(|from| from <= now)
            && let Some(&(_, slot)) = self.delivered.first()
        {
            self.edit_at(slot, budget, Room::default(), Entry::drop_result);
            self.forget_surplus(budget, aftermath);
        }
    }

    /// Forgets expired jobs, the oldest first, while there are too many.
    fn forget_surplus(&mut self, budget: &Budget, aftermath: &mut Aftermath) {
        while budget.has_too_many_tombstones()
            && let Some(&(_, oldest)) = self.forgotten.first()
        {
            self.remove_at(oldest, budget, aftermath);
        }
    }

    /// Gives the job that has been free for longest to a new holder, who has it until then; `None`
    /// if no job is free.
    pub(super) fn claim(&mut self, now: Micros, until: Micros, budget: &Budget) -> Option<Claimed> {
        let &(_, slot) = self.free.first()?;
        Some(self.edit_at(slot, budget, Room::default(), |entry| {
            entry.claim(now, until)
        }))
    }

    /// The time at which the first job here is to end, or to expire.
    pub(super) fn next_expiry(&self) -> Option<Micros> {
        self.due.first().map(|(due, _)| *due)
    }

    /// When the next thing is to be done here.
    pub(super) fn next_due(&self) -> Option<Micros> {
        let due = self.next_expiry();
        let forgotten = self.forgotten.first().map(|(due, _)| *due);
        due.into_iter().chain(forgotten).min()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The job's state, if it can be known of.
    pub(super) fn state(&self, id: &JobId, now: Micros) -> Option<JobState> {
        self.entry(id)?.state(now)
    }

    fn slot(&self, id: &JobId) -> Option<Slot> {
        let is_it = |entry: &Entry| entry.id == *id;
        self.by_id.find(id.hash_bits(), &self.entries, is_it)
    }

    fn place(&mut self, slot: Slot, old: Places, new: Places) {
        moved(&mut self.due, slot, old.due, new.due);
        moved(&mut self.free, slot, old.free, new.free);
        moved(&mut self.forgotten, slot, old.forgotten, new.forgotten);
        moved(&mut self.delivered, slot, old.delivered, new.delivered);
    }
}

fn first_until(index: &BTreeSet<(Micros, Slot)>, now: Micros) -> Option<Slot> {
    index
        .first()
        .filter(|(due, _)| *due <= now)
        .map(|(_, slot)| *slot)
}

fn moved(
    index: &mut BTreeSet<(Micros, Slot)>,
    slot: Slot,
    old: Option<Micros>,
    new: Option<Micros>,
) {
    if old == new {
        return;
    }
    if let Some(old) = old {
        index.remove(&(old, slot));
    }
    if let Some(new) = new {
        index.insert((new, slot));
    }
}

mod indexes;
mod owned;
mod voids;

use std::time::SystemTime;

use http_polling::JobState;

use self::{
    indexes::{Index, Indexes},
    owned::Owned,
    voids::Voids,
};
use super::{
    budget::{Budget, Room},
    clock::{Micros, NEVER, SECOND, micros},
    entries::{Entries, Slot},
    entry::{Entry, Kinds, Places, Terms},
    keys::Scope,
    table::Table,
};
use crate::{
    claim::ClaimKind,
    id::{JobHandle, JobId},
    job::NewJob,
    lease::Released,
    store::DELIVERED_KEPT,
    sync::Arc,
    wake::Wake,
};

/// A part of the jobs, behind one lock.
#[derive(Debug)]
pub(super) struct Shard {
    entries: Entries,
    by_id: Table,
    by_handle: Table,
    indexes: Indexes,
    pub(super) owned: Owned,
    kinds: Kinds,
    /// The number of pending jobs.
    pending: usize,
    /// True if a task has become claimable since the last check.
    claimable: bool,
    voids: Voids,
    /// The duration of leases; 0 if they have no end.
    lease: Micros,
}

/// Work that remains after the shard is unlocked.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Aftermath {
    pub(super) wakes: Vec<Arc<Wake>>,
    /// True if a task has become claimable.
    pub(super) claimable: bool,
    pub(super) keys: Vec<(Scope, JobId)>,
    /// The number of jobs that have ended because a lease lapsed.
    pub(super) lost: u64,
    /// The jobs that have ended because a lease lapsed or a deadline passed.
    pub(super) ended: Vec<JobId>,
}

impl Shard {
    /// Creates a shard of a store whose leases have this duration; 0 if they have no end.
    pub(super) fn new(lease: Micros) -> Self {
        Self {
            entries: Entries::default(),
            by_id: Table::by(|entry| entry.id.hash_bits()),
            by_handle: Table::by(|entry| entry.handle.to_bits()),
            indexes: Indexes::default(),
            owned: Owned::default(),
            kinds: Kinds::default(),
            pending: 0,
            claimable: false,
            voids: Voids::default(),
            lease,
        }
    }

    pub(super) fn entry(&self, id: &JobId) -> Option<&Entry> {
        self.slot(id).map(|slot| &self.entries[slot])
    }

    /// Returns at most `limit` entries before `end`, in an order of the shard's own, and the end of
    /// the next part; `None` after the last.
    ///
    /// An entry that is in the shard throughout is in at least one part, whatever is added and
    /// removed meanwhile: additions are behind the parts to come, and an entry that moves into a
    /// gap comes from the very end.
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

    /// Returns the job with this handle, if it is still known.
    pub(super) fn find(&self, handle: JobHandle, now: Micros) -> Option<JobId> {
        let known = |entry: &Entry| entry.handle == handle && entry.state(now).is_some();
        let slot = self
            .by_handle
            .find(handle.to_bits(), &self.entries, known)?;
        Some(self.entries[slot].id)
    }

    /// Returns the wake of a pending job's waiters. Does not affect the indexes.
    pub(super) fn wake_of(&mut self, id: &JobId) -> Option<Arc<Wake>> {
        let slot = self.slot(id)?;
        self.entries[slot].wake()
    }

    /// Adds a job with its room taken and its waiting counted, created now and leased until then;
    /// returns the time of day of its creation. Its id must be new.
    pub(super) fn insert(
        &mut self,
        job: NewJob,
        now: Micros,
        wall: u64,
        until: Micros,
        budget: &Budget,
        reserved: Room,
    ) -> SystemTime {
        let terms = self.kinds.share(Terms::of(&job));
        let entry = Entry::new(job, terms, now, wall, until);
        let (places, created) = (entry.places(), entry.created());
        budget.settle(reserved, entry.room());
        let slot = self.entries.push(entry);
        self.by_id.insert(slot, &self.entries);
        self.by_handle.insert(slot, &self.entries);
        self.owned.add(&self.entries[slot]);
        self.place(slot, Places::NONE, places);
        self.pending += 1;
        created
    }

    /// Changes a job, with the indexes and accounts. `reserved` is the room taken for the change.
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
        let (places, room, pending) = (entry.places(), entry.room(), entry.is_pending());
        let waited = entry.is_waiting();
        let result = change(entry);
        let (new_places, new_room) = (entry.places(), entry.room());
        // A job that has ended is never pending again.
        self.pending -= usize::from(pending && !entry.is_pending());
        let before = Room {
            jobs: room.jobs + reserved.jobs,
            bytes: room.bytes + reserved.bytes,
        };
        budget.settle(before, new_room);
        (budget.queue).change(entry.principal.as_ref(), waited, entry.is_waiting());
        if new_places.forgotten != NEVER && places.forgotten == NEVER {
            budget.add_tombstone();
        }
        self.place(slot, places, new_places);
        result
    }

    /// Removes a job completely.
    pub(super) fn remove(
        &mut self,
        id: &JobId,
        now: Micros,
        budget: &Budget,
        aftermath: &mut Aftermath,
    ) {
        if let Some(slot) = self.slot(id) {
            self.remove_at(slot, now, budget, aftermath);
        }
    }

    fn remove_at(&mut self, slot: Slot, now: Micros, budget: &Budget, aftermath: &mut Aftermath) {
        let mut entry = self.take(slot);
        if entry
            .ended()
            .is_some_and(|ended| now < ended.saturating_add(self.lease))
        {
            // Its run may still be alive, and must not consider the job missing.
            self.voids.add(entry.id, now.saturating_add(self.lease));
        }
        budget.settle(entry.room(), Room::default());
        (budget.queue).change(entry.principal.as_ref(), entry.is_waiting(), false);
        if entry.places().forgotten != NEVER {
            budget.remove_tombstone();
        }
        self.pending -= usize::from(entry.is_pending());
        aftermath.wakes.extend(entry.take_wake());
        let key = entry.key.take();
        aftermath.keys.extend(key.map(|key| (key.scope, entry.id)));
    }

    /// Takes an entry out of the indexes and its slot, into which the last one moves.
    fn take(&mut self, slot: Slot) -> Entry {
        let last = (self.entries.len() - 1) as Slot;
        self.by_id.remove(slot, &self.entries);
        self.by_handle.remove(slot, &self.entries);
        self.owned.remove(&self.entries[slot]);
        self.place(slot, self.entries[slot].places(), Places::NONE);
        if slot != last {
            let places = self.entries[last].places();
            self.by_id.renumber(last, slot, &self.entries);
            self.by_handle.renumber(last, slot, &self.entries);
            self.place(last, places, Places::NONE);
            self.place(slot, Places::NONE, places);
        }
        self.entries.swap_remove(slot)
    }

    /// Performs at most `quota` due changes, and returns their number.
    pub(super) fn expire(
        &mut self,
        now: Micros,
        quota: usize,
        budget: &Budget,
        aftermath: &mut Aftermath,
    ) -> usize {
        for steps in 0..quota {
            if let Some(slot) = self.indexes.due.first_until(now) {
                self.expire_at(slot, now, budget, aftermath);
            } else if let Some(slot) = self.indexes.forgotten.first_until(now) {
                self.remove_at(slot, now, budget, aftermath);
            } else if self.voids.forget_one(now) {
                continue;
            } else {
                return steps;
            }
        }
        quota
    }

    fn expire_at(&mut self, slot: Slot, now: Micros, budget: &Budget, aftermath: &mut Aftermath) {
        let (wake, key) = self.edit_at(slot, budget, Room::default(), |entry| {
            if entry.is_pending() {
                let (released, wake) = entry.lapse_late(now);
                let is_lost =
                    matches!(released, Released::Ended(JobState::Lost | JobState::Failed));
                aftermath.lost += u64::from(is_lost);
                let is_ended = matches!(released, Released::Ended(_));
                aftermath.ended.extend(is_ended.then_some(entry.id));
                return (wake, None);
            }
            let key = entry.expire(now);
            (None, key.map(|key| (key.scope, entry.id)))
        });
        aftermath.wakes.extend(wake);
        aftermath.keys.extend(key);
        self.forget_surplus(now, budget, aftermath);
    }

    /// Returns the time when the result that was delivered first may be dropped.
    pub(super) fn next_droppable(&self) -> Option<Micros> {
        let (delivered, _) = self.indexes.delivered.first()?;
        // It was delivered within the second that began then.
        Some(delivered.saturating_add(micros(DELIVERED_KEPT) + SECOND))
    }

    /// Drops the result that was delivered first, if it may be dropped by now.
    pub(super) fn drop_delivered(
        &mut self,
        now: Micros,
        budget: &Budget,
        aftermath: &mut Aftermath,
    ) {
        if self.next_droppable().is_some_and(|from| from <= now)
            && let Some((_, slot)) = self.indexes.delivered.first()
        {
            self.edit_at(slot, budget, Room::default(), Entry::drop_result);
            self.forget_surplus(now, budget, aftermath);
        }
    }

    /// Forgets expired jobs over their limit, oldest first.
    fn forget_surplus(&mut self, now: Micros, budget: &Budget, aftermath: &mut Aftermath) {
        while budget.has_too_many_tombstones()
            && let Some((_, oldest)) = self.indexes.forgotten.first()
        {
            self.remove_at(oldest, now, budget, aftermath);
        }
    }

    /// Returns the tasks of a kind that are claimable by now, the longest waiting first, after a
    /// position, with the position of each.
    pub(super) fn claimable(
        &self,
        kind: ClaimKind,
        behind: Option<(Micros, Slot)>,
        now: Micros,
    ) -> impl Iterator<Item = ((Micros, Slot), &Entry)> {
        let places = self.index(kind).until(behind, now);
        places.map(|place| (place, &self.entries[place.1]))
    }

    /// Returns the future time when the next task of a kind becomes claimable.
    pub(super) fn next_claimable(&self, kind: ClaimKind, now: Micros) -> Option<Micros> {
        self.index(kind).next_after(now)
    }

    fn index(&self, kind: ClaimKind) -> &Index {
        match kind {
            ClaimKind::Work => &self.indexes.free,
            ClaimKind::Notify => &self.indexes.notify,
        }
    }

    /// Returns the time from which the job is claimable that has been so longest.
    pub(super) fn oldest_due(&self, now: Micros) -> Option<Micros> {
        let first = self.indexes.free.first();
        first.map(|(since, _)| since).filter(|since| *since <= now)
    }

    /// Returns whether the job is claimable by now.
    pub(super) fn is_claimable(&self, id: &JobId, kind: ClaimKind, now: Micros) -> bool {
        self.entry(id).is_some_and(|entry| {
            let places = entry.places();
            match kind {
                ClaimKind::Work => places.free <= now,
                ClaimKind::Notify => places.notify <= now,
            }
        })
    }

    /// Returns whether a task has become claimable since the last check.
    pub(super) fn take_claimable(&mut self) -> bool {
        std::mem::take(&mut self.claimable)
    }

    /// Ensures that no create stores a job with this id until then.
    pub(super) fn void(&mut self, id: JobId, until: Micros) {
        self.voids.add(id, until);
    }

    /// Returns whether no create may store a job with this id.
    pub(super) fn is_void(&self, id: &JobId, now: Micros) -> bool {
        self.voids.has(id, now)
    }

    /// Returns the number of pending jobs.
    pub(super) fn pending(&self) -> usize {
        self.pending
    }

    /// Returns the time when the first job ends or expires.
    pub(super) fn next_expiry(&self) -> Option<Micros> {
        self.indexes.due.first().map(|(due, _)| due)
    }

    /// Returns the time of the next change.
    pub(super) fn next_due(&self) -> Option<Micros> {
        let due = self.next_expiry();
        let forgotten = self.indexes.forgotten.first().map(|(due, _)| due);
        due.into_iter()
            .chain(forgotten)
            .chain(self.voids.next())
            .min()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.voids.is_empty()
    }

    /// Returns the job's state, if it is still known.
    pub(super) fn state(&self, id: &JobId, now: Micros) -> Option<JobState> {
        self.entry(id)?.state(now)
    }

    fn slot(&self, id: &JobId) -> Option<Slot> {
        let is_it = |entry: &Entry| entry.id == *id;
        self.by_id.find(id.hash_bits(), &self.entries, is_it)
    }

    fn place(&mut self, slot: Slot, old: Places, new: Places) {
        self.claimable |= self.indexes.place(slot, old, new);
    }
}

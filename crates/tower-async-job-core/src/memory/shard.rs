use std::{
    collections::{BTreeSet, VecDeque},
    ops::Bound,
    time::SystemTime,
};

use http_polling::JobState;

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
    id::{JobHandle, JobId, JobIdMap},
    job::NewJob,
    lease::Release,
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
    due: Index,
    free: Index,
    notify: Index,
    forgotten: Index,
    delivered: Index,
    kinds: Kinds,
    /// The number of pending jobs.
    pending: usize,
    /// Whether something has become claimable since this was last asked.
    claimable: bool,
    voids: Voids,
}

/// Slots in the order of a time.
type Index = BTreeSet<(Micros, Slot)>;

/// The ids of which no create makes a job for a time, all of them for equally long.
#[derive(Debug, Default)]
struct Voids {
    ids: JobIdMap<Micros>,
    queue: VecDeque<(Micros, JobId)>,
}

/// Work that is left to do once the shard is unlocked.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Aftermath {
    pub(super) wakes: Vec<Arc<Wake>>,
    /// Whether something has become claimable.
    pub(super) claimable: bool,
    pub(super) keys: Vec<(Scope, JobId)>,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            entries: Entries::default(),
            by_id: Table::by(|entry| entry.id.hash_bits()),
            by_handle: Table::by(|entry| entry.handle.to_bits()),
            due: Index::new(),
            free: Index::new(),
            notify: Index::new(),
            forgotten: Index::new(),
            delivered: Index::new(),
            kinds: Kinds::default(),
            pending: 0,
            claimable: false,
            voids: Voids::default(),
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

    /// The wake of those who wait for the end of a pending job. Changes nothing that the indexes speak of.
    pub(super) fn wake_of(&mut self, id: &JobId) -> Option<Arc<Wake>> {
        let slot = self.slot(id)?;
        self.entries[slot].wake()
    }

    /// Adds a job for which room was taken, created now and leased until then; returns the time of
    /// day of its creation. There must be none of its id.
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
        self.place(slot, Places::NONE, places);
        self.pending += 1;
        created
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
        let (places, room, pending) = (entry.places(), entry.room(), entry.is_pending());
        let result = change(entry);
        let (new_places, new_room) = (entry.places(), entry.room());
        // No job is pending again once it has ended.
        self.pending -= usize::from(pending && !entry.is_pending());
        let before = Room {
            jobs: room.jobs + reserved.jobs,
            bytes: room.bytes + reserved.bytes,
        };
        budget.settle(before, new_room);
        if new_places.forgotten != NEVER && places.forgotten == NEVER {
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
        if entry.places().forgotten != NEVER {
            budget.remove_tombstone();
        }
        self.pending -= usize::from(entry.is_pending());
        aftermath.wakes.extend(entry.take_wake());
        let key = entry.key.take();
        aftermath.keys.extend(key.map(|key| (key.scope, entry.id)));
    }

    /// Takes an entry out of the indexes and out of its slot, into which the last one moves.
    fn take(&mut self, slot: Slot) -> Entry {
        let last = (self.entries.len() - 1) as Slot;
        self.by_id.remove(slot, &self.entries);
        self.by_handle.remove(slot, &self.entries);
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
                let (_, wake) = entry.lapse(now, &Release::default());
                return (wake, None);
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

    /// The things of a kind that may be claimed by now, the longest waiting first: those behind a
    /// place, and the place of each.
    pub(super) fn claimable(
        &self,
        kind: ClaimKind,
        behind: Option<(Micros, Slot)>,
        now: Micros,
    ) -> impl Iterator<Item = ((Micros, Slot), &Entry)> {
        let behind = behind.map_or(Bound::Unbounded, Bound::Excluded);
        let places = self
            .index(kind)
            .range((behind, Bound::Included((now, Slot::MAX))));
        places.map(|place| (*place, &self.entries[place.1]))
    }

    /// The time from which the next thing of a kind may be claimed, if that is to come.
    pub(super) fn next_claimable(&self, kind: ClaimKind, now: Micros) -> Option<Micros> {
        let later = (Bound::Excluded((now, Slot::MAX)), Bound::Unbounded);
        self.index(kind).range(later).next().map(|(from, _)| *from)
    }

    fn index(&self, kind: ClaimKind) -> &Index {
        match kind {
            ClaimKind::Work => &self.free,
            ClaimKind::Notify => &self.notify,
        }
    }

    /// Returns whether the job may be claimed by now.
    pub(super) fn is_claimable(&self, id: &JobId, kind: ClaimKind, now: Micros) -> bool {
        self.entry(id).is_some_and(|entry| {
            let places = entry.places();
            match kind {
                ClaimKind::Work => places.free <= now,
                ClaimKind::Notify => places.notify <= now,
            }
        })
    }

    /// Returns whether something has become claimable since this was last asked.
    pub(super) fn take_claimable(&mut self) -> bool {
        std::mem::take(&mut self.claimable)
    }

    /// Makes sure that no create makes a job of this id until then.
    pub(super) fn void(&mut self, id: JobId, until: Micros) {
        if self.voids.ids.insert(id, until).is_none() {
            self.voids.queue.push_back((until, id));
        }
    }

    /// Returns whether no create may make a job of this id.
    pub(super) fn is_void(&self, id: &JobId, now: Micros) -> bool {
        self.voids.ids.get(id).is_some_and(|until| *until > now)
    }

    /// The number of pending jobs.
    pub(super) fn pending(&self) -> usize {
        self.pending
    }

    /// The time at which the first job here is to end, or to expire.
    pub(super) fn next_expiry(&self) -> Option<Micros> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The time at which the next thing is to be done here.
    pub(super) fn next_due(&self) -> Option<Micros> {
        let due = self.next_expiry();
        let forgotten = self.forgotten.first().map(|(due, _)| *due);
        let void = self.voids.queue.front().map(|(until, _)| *until);
        due.into_iter().chain(forgotten).chain(void).min()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.voids.queue.is_empty()
    }

    /// Shortens the leases of some entries that last beyond then, as after the clock was set back;
    /// the entries are those of [`part`](Self::part).
    pub(super) fn shorten(
        &mut self,
        end: Option<usize>,
        limit: usize,
        until: Micros,
        budget: &Budget,
    ) -> Option<usize> {
        let (part, next) = self.part(end, limit);
        let long = part.filter(|entry| entry.is_held_beyond(until));
        let long: Vec<_> = long.map(|entry| entry.id).collect();
        for id in long {
            self.edit(&id, budget, Room::default(), |entry| entry.renew(until));
        }
        next
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
        self.claimable |= moved(&mut self.free, slot, old.free, new.free);
        self.claimable |= moved(&mut self.notify, slot, old.notify, new.notify);
        moved(&mut self.forgotten, slot, old.forgotten, new.forgotten);
        moved(&mut self.delivered, slot, old.delivered, new.delivered);
    }
}

impl Voids {
    /// Forgets the oldest, if its time is over; returns whether it was.
    fn forget_one(&mut self, now: Micros) -> bool {
        let Some(&(until, id)) = self.queue.front() else {
            return false;
        };
        if until <= now {
            self.queue.pop_front();
            self.ids.remove(&id);
        }
        until <= now
    }
}

fn first_until(index: &Index, now: Micros) -> Option<Slot> {
    index
        .first()
        .filter(|(due, _)| *due <= now)
        .map(|(_, slot)| *slot)
}

/// Moves a slot in an index; returns whether it is in a new place there.
fn moved(index: &mut Index, slot: Slot, old: Micros, new: Micros) -> bool {
    if old == new {
        return false;
    }
    if old != NEVER {
        index.remove(&(old, slot));
    }
    if new != NEVER {
        index.insert((new, slot));
    }
    new != NEVER
}

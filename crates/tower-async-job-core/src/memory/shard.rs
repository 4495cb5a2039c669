use std::collections::BTreeSet;

use http_polling::JobState;

use super::{
    budget::{Budget, Room},
    clock::Micros,
    entry::{Claimed, Entry, Places},
    keys::Scope,
    wake::Wake,
};
use crate::{Claim, JobId, JobIdMap, sync::Arc};

/// A part of the jobs, behind one lock.
#[derive(Debug, Default)]
pub(super) struct Shard {
    jobs: JobIdMap<Box<Entry>>,
    due: BTreeSet<(Micros, JobId)>,
    free: BTreeSet<(Micros, JobId)>,
    forgotten: BTreeSet<(Micros, JobId)>,
}

/// What is to be done once the shard is unlocked.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Aftermath {
    pub(super) wakes: Vec<Arc<Wake>>,
    pub(super) keys: Vec<(Scope, JobId)>,
}

impl Shard {
    pub(super) fn entry(&self, id: &JobId) -> Option<&Entry> {
        self.jobs.get(id).map(Box::as_ref)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&JobId, &Entry)> {
        self.jobs.iter().map(|(id, entry)| (id, &**entry))
    }

    /// Where to wait for the end of a pending job. Changes nothing that the indexes speak of.
    pub(super) fn wake_of(&mut self, id: &JobId) -> Option<Arc<Wake>> {
        self.jobs.get_mut(id)?.wake()
    }

    /// Adds a job for which room was taken. There must be none of this id.
    pub(super) fn insert(&mut self, id: JobId, entry: Entry, budget: &Budget, reserved: Room) {
        budget.settle(reserved, entry.room());
        self.place(id, Places::default(), entry.places());
        self.jobs.insert(id, Box::new(entry));
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
        let entry = self.jobs.get_mut(id)?;
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
        self.place(*id, places, new_places);
        Some(result)
    }

    /// Removes a job altogether.
    pub(super) fn remove(&mut self, id: &JobId, budget: &Budget, aftermath: &mut Aftermath) {
        let Some(mut entry) = self.jobs.remove(id) else {
            return;
        };
        let places = entry.places();
        budget.settle(entry.room(), Room::default());
        if places.forgotten.is_some() {
            budget.remove_tombstone();
        }
        self.place(*id, places, Places::default());
        aftermath.wakes.extend(entry.take_wake());
        if let Some(key) = entry.key.take() {
            aftermath
                .keys
                .push((Scope::new(entry.principal.as_ref(), &key), *id));
        }
    }

    /// Does what is due, `quota` steps of it at most; returns how many it did.
    pub(super) fn expire(
        &mut self,
        now: Micros,
        quota: usize,
        budget: &Budget,
        aftermath: &mut Aftermath,
    ) -> usize {
        let mut steps = 0;
        while steps < quota {
            if let Some(id) = first_until(&self.due, now) {
                self.expire_one(&id, now, budget, aftermath);
            } else if let Some(id) = first_until(&self.forgotten, now) {
                self.remove(&id, budget, aftermath);
            } else {
                self.shrink();
                break;
            }
            steps += 1;
        }
        steps
    }

    fn expire_one(&mut self, id: &JobId, now: Micros, budget: &Budget, aftermath: &mut Aftermath) {
        let (wake, key) = self
            .edit(id, budget, Room::default(), |entry| {
                if entry.is_pending() {
                    (entry.lapse(now), None)
                } else {
                    let key = entry.expire();
                    (
                        None,
                        key.map(|key| Scope::new(entry.principal.as_ref(), &key)),
                    )
                }
            })
            .unwrap_or_default();
        aftermath.wakes.extend(wake);
        aftermath.keys.extend(key.map(|scope| (scope, *id)));
        while budget.has_too_many_tombstones()
            && let Some(&(_, oldest)) = self.forgotten.first()
        {
            self.remove(&oldest, budget, aftermath);
        }
    }

    /// Gives the job that has been free for longest to a new holder.
    pub(super) fn claim(
        &mut self,
        now: Micros,
        until: Micros,
        budget: &Budget,
        aftermath: &mut Aftermath,
    ) -> Option<Claim> {
        while let Some(&(_, id)) = self.free.first() {
            let claimed = self.edit(&id, budget, Room::default(), |entry| {
                entry.claim(id, now, until)
            });
            match claimed {
                Some(Claimed::Given(claim)) => return Some(*claim),
                Some(Claimed::Ended(wake)) => aftermath.wakes.extend(wake),
                None => {}
            }
        }
        None
    }

    /// When the next thing is to be done here.
    pub(super) fn next_due(&self) -> Option<Micros> {
        let due = self.due.first().map(|(due, _)| *due);
        let forgotten = self.forgotten.first().map(|(due, _)| *due);
        due.into_iter().chain(forgotten).min()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The job's state, if it can be known of.
    pub(super) fn state(&self, id: &JobId, now: Micros) -> Option<JobState> {
        self.entry(id)?.state(now)
    }

    fn place(&mut self, id: JobId, old: Places, new: Places) {
        moved(&mut self.due, id, old.due, new.due);
        moved(&mut self.free, id, old.free, new.free);
        moved(&mut self.forgotten, id, old.forgotten, new.forgotten);
    }

    /// Gives memory back after a burst.
    fn shrink(&mut self) {
        let wanted = self.jobs.len().saturating_mul(2).max(64);
        if self.jobs.capacity() / 2 > wanted {
            self.jobs.shrink_to(wanted);
        }
    }
}

fn first_until(index: &BTreeSet<(Micros, JobId)>, now: Micros) -> Option<JobId> {
    index
        .first()
        .filter(|(due, _)| *due <= now)
        .map(|(_, id)| *id)
}

fn moved(
    index: &mut BTreeSet<(Micros, JobId)>,
    id: JobId,
    old: Option<Micros>,
    new: Option<Micros>,
) {
    if old == new {
        return;
    }
    if let Some(old) = old {
        index.remove(&(old, id));
    }
    if let Some(new) = new {
        index.insert((new, id));
    }
}

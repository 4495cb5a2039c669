//! Room for new data, and how it is made.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use super::{
    budget::Room,
    clock::{Micros, SECOND},
    entry::Entry,
    jobs::{Jobs, Taken},
    pace::Pace,
    shard::{Aftermath, Shard},
};
use crate::{
    end::End,
    error::StoreError,
    lease::Lease,
    sync::{Mutex, lock},
};

/// The shards with delivered results, by the time when their first may be dropped.
type Delivered = BinaryHeap<Reverse<(Micros, usize)>>;

impl Jobs {
    /// Takes room. If there is none, makes it in slices: by due changes, then by dropping delivered
    /// results, oldest first.
    pub(super) async fn reserve(&self, room: Room) -> Taken<'_> {
        if let Some(reservation) = self.budget.reserve(room) {
            return Ok(reservation);
        }
        if !self.budget.may_have(room) {
            // Nothing is dropped for data that can never fit.
            return Err(StoreError::full().with_limit(self.budget.limit(room)));
        }
        let now = self.now();
        let mut pace = Pace::default();
        while self.do_some_due(now) {
            if let Some(reservation) = self.budget.reserve(room) {
                return Ok(reservation);
            }
            pace.spend(Pace::STEP * Pace::LOCKED_STEPS).await;
        }
        let mut delivered = Delivered::new();
        for (index, shard) in self.shards.iter().enumerate() {
            let droppable = lock(shard).next_droppable();
            delivered.extend(droppable.map(|from| Reverse((from, index))));
            pace.spend(Pace::LOCK).await;
        }
        while self.drop_oldest(&mut delivered, now) {
            if let Some(reservation) = self.budget.reserve(room) {
                return Ok(reservation);
            }
            pace.spend(Pace::STEP).await;
        }
        Err(self.full(room, now))
    }

    /// Takes room for this number of bytes of a job's result in total.
    pub(super) async fn reserve_result(
        &self,
        lease: &Lease,
        bytes: usize,
    ) -> Result<(), StoreError> {
        let reserved = self.held(lease, |shard| {
            Ok(shard.entry(&lease.id).map(Entry::reserved))
        })?;
        let more = bytes.saturating_sub(reserved.unwrap_or(0));
        let room = self.reserve(Room::of_bytes(more)).await?;
        self.held(lease, |shard| {
            shard.edit(&lease.id, &self.budget, room.spend(), |entry| {
                entry.reserve(bytes)
            });
            Ok(())
        })
    }

    /// Takes room for a job's end; if there is little, only for the part that is not reserved, and
    /// if necessary without the report.
    pub(super) async fn reserve_end(&self, lease: &Lease, end: &mut End) -> Taken<'_> {
        if let Some(reservation) = self.budget.reserve(Room::of_end(end)) {
            return Ok(reservation);
        }
        let reserved = {
            let shard = self.shard(&lease.id);
            shard.entry(&lease.id).map_or(0, Entry::reserved)
        };
        let missing = |room: Room| Room::of_bytes(room.bytes.saturating_sub(reserved));
        match self.reserve(missing(Room::of_end(end))).await {
            Err(error) if error.is_full() && end.report.take().is_some() => {
                self.reserve(missing(Room::of_end(end))).await
            }
            taken => taken,
        }
    }

    pub(super) fn check_room(&self, room: Room) -> Result<(), StoreError> {
        if self.budget.has(room) {
            return Ok(());
        }
        let now = self.now();
        match self.next_room() {
            // It can be made when it is needed.
            Some(from) if from <= now => Ok(()),
            _ => Err(self.full(room, now)),
        }
    }

    /// Returns the error of a store that cannot make this room now.
    fn full(&self, room: Room, now: Micros) -> StoreError {
        let error = StoreError::full().with_limit(self.budget.limit(room));
        match self.next_room() {
            Some(from) => {
                let wait = from.saturating_sub(now).max(SECOND);
                error.with_retry_after(Duration::from_micros(wait))
            }
            None => error,
        }
    }

    /// Returns the time when the first kept data may be dropped. A tombstone takes no room.
    fn next_room(&self) -> Option<Micros> {
        let of_shard = |shard: &Mutex<Shard>| {
            let shard = lock(shard);
            [shard.next_expiry(), shard.next_droppable()]
        };
        self.shards.iter().flat_map(of_shard).flatten().min()
    }

    /// Performs some due changes, few enough for one poll; returns whether there were any.
    fn do_some_due(&self, now: Micros) -> bool {
        let mut left = Pace::LOCKED_STEPS;
        for shard in &self.shards {
            left -= self.expire(shard, now, left);
            if left == 0 {
                break;
            }
        }
        left < Pace::LOCKED_STEPS
    }

    /// Drops the result that was delivered first, if it may be dropped by now.
    fn drop_oldest(&self, delivered: &mut Delivered, now: Micros) -> bool {
        let Some(Reverse((from, index))) = delivered.pop() else {
            return false;
        };
        if from > now {
            return false;
        }
        let mut aftermath = Aftermath::default();
        let next = {
            let mut shard = lock(&self.shards[index]);
            shard.drop_delivered(now, &self.budget, &mut aftermath);
            shard.next_droppable()
        };
        self.settle(aftermath);
        delivered.extend(next.map(|from| Reverse((from, index))));
        true
    }
}

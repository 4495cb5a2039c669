use std::{
    sync::Arc as StdArc,
    time::{Duration, Instant, SystemTime},
};

use http_polling::JobState;

use super::{
    budget::{Budget, Reservation, Room},
    chunks::Chunks,
    clock::{Clock, Micros, NEVER, ORIGIN, SECOND, micros, wall_micros},
    entry::Entry,
    keys::Keys,
    shard::{Aftermath, Shard},
};
use crate::{
    end::{End, Report},
    ended::EndedJobs,
    error::StoreError,
    id::JobId,
    lease::{Lease, Renewal},
    owner::Principal,
    properties::StoreProperties,
    record::{Cancellation, Detail, JobRecord},
    subscription::Subscription,
    sync::{Arc, Mutex, MutexGuard, lock},
    wake::Wake,
};

/// Room taken for a change, or the error of a full store.
pub(super) type Taken<'a> = Result<Reservation<'a>, StoreError>;

/// All jobs of a store.
///
/// A job is found by its id in one of the shards, and changes under that shard's lock only. No two
/// shards are locked at once; wakers run without locks.
pub(super) struct Jobs {
    pub(super) shards: Box<[Mutex<Shard>]>,
    pub(super) keys: Keys,
    pub(super) budget: Budget,
    pub(super) chunks: Chunks,
    /// The wake of tasks that wait for claimable work; created by the first of them.
    work: Mutex<Option<Arc<Wake>>>,
    pub(super) census: Mutex<Census>,
    /// The jobs that have ended because a lease lapsed or a deadline passed.
    pub(super) ended: EndedJobs,
    clock: StdArc<dyn Clock>,
    origin: Instant,
    /// The time of day at `origin`.
    origin_wall: SystemTime,
    pub(super) properties: StoreProperties,
    #[cfg(http_polling_loom)]
    pub(super) forgets_ends: bool,
}

/// The findings of the latest sweeps.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// The time at which the principals were counted.
    pub(super) counted: Option<Micros>,
    pub(super) principals: Vec<(Principal, u64)>,
    /// The number of jobs that have ended since because a lease lapsed.
    pub(super) lost: u64,
}

/// The time for which an id is void, or a notification claimed, if leases have no duration.
const MINUTE: Micros = 60 * SECOND;

impl Jobs {
    pub(super) fn new(
        shards: usize,
        budget: Budget,
        clock: StdArc<dyn Clock>,
        properties: StoreProperties,
    ) -> Self {
        let lease = properties.lease.map_or(0, micros);
        Self {
            shards: (0..shards).map(|_| Mutex::new(Shard::new(lease))).collect(),
            keys: Keys::new(shards),
            budget,
            chunks: Chunks::default(),
            work: Mutex::default(),
            ended: EndedJobs::default(),
            census: Mutex::default(),
            origin: clock.now(),
            origin_wall: clock.system_time(),
            clock,
            properties,
            #[cfg(http_polling_loom)]
            forgets_ends: false,
        }
    }

    pub(super) fn start(&self, lease: &Lease) -> Result<(), StoreError> {
        let now = self.now();
        self.held(lease, |shard| {
            shard.edit(&lease.id, &self.budget, Room::default(), |entry| {
                entry.start(now)
            });
            Ok(())
        })
    }

    pub(super) fn renew(&self, lease: &Lease) -> Renewal {
        let now = self.now();
        let until = now.saturating_add(self.lease_span());
        let mut shard = self.shard(&lease.id);
        match shard.entry(&lease.id) {
            Some(entry) if entry.is_held_by(lease) => {
                shard.edit(&lease.id, &self.budget, Room::default(), |entry| {
                    entry.renew(until)
                });
                Renewal::Held
            }
            _ => not_held(&shard, &lease.id, now),
        }
    }

    pub(super) fn report(
        &self,
        lease: &Lease,
        report: Report,
        room: Taken<'_>,
    ) -> Result<(), StoreError> {
        self.held(lease, |shard| {
            let reserved = room?.spend();
            shard.edit(&lease.id, &self.budget, reserved, |entry| {
                entry.report(report)
            });
            Ok(())
        })
    }

    pub(super) fn finish(
        &self,
        lease: &Lease,
        end: End,
        room: Taken<'_>,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let mut shard = self.shard(&lease.id);
        let entry = shard.entry(&lease.id).ok_or_else(StoreError::lease_lost)?;
        if !entry.is_held_by(lease) {
            let repeated = entry.ended_so(lease, end.outcome.state());
            return repeated.then_some(()).ok_or_else(StoreError::lease_lost);
        }
        let reserved = room?.spend();
        let wake = shard.edit(&lease.id, &self.budget, reserved, |entry| {
            entry.finish(end, now)
        });
        self.leave(shard, wake.flatten());
        Ok(())
    }

    pub(super) fn discard(&self, lease: &Lease) -> Result<(), StoreError> {
        let now = self.now();
        let mut aftermath = Aftermath::default();
        let mut shard = self.shard(&lease.id);
        if let Some(entry) = shard.entry(&lease.id) {
            if !entry.is_discarded_by(lease) {
                return Err(StoreError::lease_lost());
            }
            shard.remove(&lease.id, now, &self.budget, &mut aftermath);
        }
        shard.void(lease.id, now.saturating_add(self.short_span()));
        drop(shard);
        self.settle(aftermath);
        Ok(())
    }

    pub(super) fn read(&self, id: &JobId, detail: Detail) -> Option<JobRecord> {
        let now = self.now();
        self.shard(id).entry(id)?.record(now, detail)
    }

    pub(super) fn subscribe(&self, id: &JobId) -> Subscription {
        let wake = self.shard(id).wake_of(id);
        wake.map_or(Subscription::ready(), Subscription::at)
    }

    pub(super) fn work(&self) -> Subscription {
        let mut work = lock(&self.work);
        Subscription::at(Arc::clone(work.get_or_insert_default()))
    }

    pub(super) fn cancel(&self, id: &JobId) -> Cancellation {
        let now = self.now();
        let mut shard = self.shard(id);
        match shard.state(id, now) {
            None => return Cancellation::Unknown,
            Some(state) if state.is_final() => return Cancellation::Ended(state),
            Some(_) => {}
        }
        let cancelled = shard.edit(id, &self.budget, Room::default(), |entry| {
            let wake = entry.revoke(JobState::Cancelled, None, now);
            (entry.wall(now), wake)
        });
        let Some((ended, wake)) = cancelled else {
            return Cancellation::Unknown;
        };
        self.leave(shard, wake);
        Cancellation::Cancelled { ended }
    }

    pub(super) fn remove(&self, id: &JobId) -> bool {
        let now = self.now();
        let mut aftermath = Aftermath::default();
        let mut shard = self.shard(id);
        let ended = shard.state(id, now).is_some_and(JobState::is_final);
        if ended && shard.entry(id).is_some_and(|entry| entry.is_wanted(now)) {
            // Otherwise a repeat would run the work again, or the end would not be notified.
            shard.edit(id, &self.budget, Room::default(), Entry::drop_result);
        } else if ended {
            shard.remove(id, now, &self.budget, &mut aftermath);
            if self.properties.lease.is_some() {
                shard.void(*id, now.saturating_add(self.short_span()));
            }
        }
        drop(shard);
        self.settle(aftermath);
        ended
    }

    pub(super) fn extend(&self, id: &JobId, keep: Duration) -> bool {
        let now = self.now();
        let until = now.saturating_add(micros(keep));
        self.shard(id)
            .edit(id, &self.budget, Room::default(), |entry| {
                entry.extend(now, until)
            })
            .unwrap_or(false)
    }

    pub(super) fn note_delivery(&self, id: &JobId, keep: Option<Duration>) {
        let now = self.now();
        let mut shard = self.shard(id);
        if shard.entry(id).is_some_and(|entry| entry.is_to_note(now)) {
            shard.edit(id, &self.budget, Room::default(), |entry| {
                entry.deliver(now, keep.map(micros))
            });
        }
    }

    /// Applies a change to a job that is pending by this lease.
    pub(super) fn held<R>(
        &self,
        lease: &Lease,
        act: impl FnOnce(&mut Shard) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let mut shard = self.shard(&lease.id);
        match shard.entry(&lease.id) {
            Some(entry) if entry.is_held_by(lease) => act(&mut shard),
            _ => Err(StoreError::lease_lost()),
        }
    }

    pub(super) fn shard(&self, id: &JobId) -> MutexGuard<'_, Shard> {
        lock(&self.shards[id.shard_bits() as usize % self.shards.len()])
    }

    /// Unlocks a shard after a change, and wakes its waiters.
    pub(super) fn leave(&self, mut shard: MutexGuard<'_, Shard>, wake: Option<Arc<Wake>>) {
        let claimable = shard.take_claimable();
        drop(shard);
        self.wake(wake);
        self.announce(claimable);
    }

    pub(super) fn settle(&self, aftermath: Aftermath) {
        for (scope, id) in &aftermath.keys {
            self.keys.part(scope).forget(scope, *id);
        }
        for wake in aftermath.wakes {
            self.wake(Some(wake));
        }
        self.announce(aftermath.claimable);
        self.ended.note(aftermath.ended);
        if aftermath.lost > 0 {
            lock(&self.census).lost += aftermath.lost;
        }
    }

    fn wake(&self, wake: Option<Arc<Wake>>) {
        let Some(wake) = wake else {
            return;
        };
        #[cfg(http_polling_loom)]
        if self.forgets_ends {
            return wake.wake_and_forget();
        }
        wake.wake_all();
    }

    /// Wakes the workers, if there is something new to claim. Call it without locks.
    pub(super) fn announce(&self, is_claimable: bool) {
        if !is_claimable {
            return;
        }
        let work = lock(&self.work).take();
        if let Some(work) = work {
            work.wake_all();
        }
    }

    pub(super) fn lease_span(&self) -> Micros {
        self.properties.lease.map_or(NEVER, micros)
    }

    /// Returns the time for which an id is void, or a notification claimed.
    pub(super) fn short_span(&self) -> Micros {
        self.properties.lease.map_or(MINUTE, micros)
    }

    pub(super) fn now(&self) -> Micros {
        let since = self.clock.now().saturating_duration_since(self.origin);
        ORIGIN.saturating_add(Micros::try_from(since.as_micros()).unwrap_or(NEVER))
    }

    /// Converts a time of the store to one that nodes can compare, whatever the time of day.
    pub(super) fn shown(&self, time: Micros) -> SystemTime {
        let since = Duration::from_micros(time.saturating_sub(ORIGIN));
        self.origin_wall
            .checked_add(since)
            .unwrap_or(self.origin_wall)
    }

    pub(super) fn wall(&self) -> u64 {
        wall_micros(self.clock.system_time())
    }
}

/// Returns the fate of a lease that is not held.
pub(super) fn not_held(shard: &Shard, id: &JobId, now: Micros) -> Renewal {
    match shard.entry(id) {
        Some(entry) if entry.is_cancelled() => Renewal::Cancelled,
        Some(_) => Renewal::Lost,
        None if shard.is_void(id, now) => Renewal::Lost,
        None => Renewal::Missing,
    }
}

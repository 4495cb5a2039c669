use std::{
    sync::Arc as StdArc,
    time::{Duration, Instant, SystemTime},
};

use http_polling::JobState;

use super::{
    budget::{Budget, Reservation, Room},
    clock::{Clock, Micros, NEVER, micros},
    entry::Entry,
    keys::{Keys, Scope},
    shard::{Aftermath, Shard},
    wake::Wake,
};
use crate::{
    Cancellation, Created, Detail, IdempotencyKey, JobId, JobRecord, Lease, NewJob, Outcome,
    Principal, Renewal, Report, StoreError,
    sync::{Arc, AtomicUsize, Mutex, MutexGuard, lock},
};

/// Room that was taken for a change, if there was any.
pub(super) type Taken<'a> = Result<Reservation<'a>, StoreError>;

/// All jobs of a store.
///
/// A job is found by its id in one of the shards, and whatever happens to it happens under that
/// shard's lock. No two shards are locked at once; wakers run with nothing locked.
pub(super) struct Jobs {
    pub(super) shards: Box<[Mutex<Shard>]>,
    keys: Keys,
    pub(super) budget: Budget,
    /// From which shard the next claims are taken, so that all have their turn.
    pub(super) turn: AtomicUsize,
    clock: StdArc<dyn Clock>,
    origin: Instant,
    pub(super) lease: Option<Duration>,
    #[cfg(http_polling_loom)]
    pub(super) looks_before_subscribing: bool,
}

impl Jobs {
    pub(super) fn new(
        shards: usize,
        budget: Budget,
        clock: StdArc<dyn Clock>,
        lease: Option<Duration>,
    ) -> Self {
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            keys: Keys::new(shards),
            budget,
            turn: AtomicUsize::new(0),
            origin: clock.now(),
            clock,
            lease,
            #[cfg(http_polling_loom)]
            looks_before_subscribing: false,
        }
    }

    /// Creates a job for which room was taken, if there was any.
    pub(super) fn create(&self, job: NewJob, room: Taken<'_>) -> Result<Created, StoreError> {
        let now = self.now();
        let Some(key) = &job.idempotency else {
            return self.insert(job, now, room);
        };
        let scope = Scope::new(job.principal.as_ref(), key);
        let id = job.id;
        // Held until the job is in its shard: between the look and the insert nobody else can
        // make a job of this key.
        let mut keys = self.keys.part(&scope);
        if let Some(holder) = keys.job(&scope).filter(|holder| *holder != id)
            && let Some(existing) = self.existing(&holder, key.fingerprint(), now)
        {
            return Ok(existing);
        }
        let created = self.insert(job, now, room)?;
        keys.insert(scope, id);
        Ok(created)
    }

    /// Returns the job that a create would find by its key, if it has one.
    pub(super) fn created_before(&self, job: &NewJob) -> Option<Created> {
        let key = job.idempotency.as_ref()?;
        let found = self.look_up(job.principal.as_ref(), key)?;
        // A job that finds itself is a repeated create.
        match &found {
            Created::Existing(record) if record.id == job.id => None,
            _ => Some(found),
        }
    }

    pub(super) fn look_up(
        &self,
        principal: Option<&Principal>,
        key: &IdempotencyKey,
    ) -> Option<Created> {
        let now = self.now();
        let scope = Scope::new(principal, key);
        let holder = self.keys.part(&scope).job(&scope)?;
        self.existing(&holder, key.fingerprint(), now)
    }

    /// What the holder of an idempotency key means for another create with it.
    fn existing(&self, id: &JobId, fingerprint: &[u8; 32], now: Micros) -> Option<Created> {
        let shard = self.shard(id);
        let entry = shard.entry(id)?;
        let key = entry.key_at(now)?;
        Some(if key.fingerprint == *fingerprint {
            Created::Existing(Box::new(entry.record(now, Detail::Status)?))
        } else {
            Created::KeyReused
        })
    }

    fn insert(&self, job: NewJob, now: Micros, room: Taken<'_>) -> Result<Created, StoreError> {
        let id = job.id;
        let wall = self.wall();
        let mut shard = self.shard(&id);
        if let Some(entry) = shard.entry(&id) {
            let repeated = entry.repeats(&job).then(|| Created::New(Lease::new(id, 1)));
            return repeated.ok_or_else(StoreError::conflict);
        }
        let reserved = room?.spend();
        let until = now.saturating_add(self.lease_span());
        shard.insert(job, now, wall, until, &self.budget, reserved);
        Ok(Created::New(Lease::new(id, 1)))
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
        let until = self.now().saturating_add(self.lease_span());
        let renewed = self.held(lease, |shard| {
            shard.edit(&lease.id, &self.budget, Room::default(), |entry| {
                entry.renew(until)
            });
            Ok(())
        });
        if renewed.is_ok() {
            Renewal::Held
        } else {
            Renewal::Lost
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
        outcome: Outcome,
        room: Taken<'_>,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let mut shard = self.shard(&lease.id);
        let entry = shard.entry(&lease.id).ok_or_else(StoreError::lease_lost)?;
        if entry.ended_so(lease, &outcome) {
            return Ok(());
        }
        if !entry.is_held_by(lease) {
            return Err(StoreError::lease_lost());
        }
        let reserved = room?.spend();
        let wake = shard.edit(&lease.id, &self.budget, reserved, |entry| {
            entry.finish(outcome, now)
        });
        drop(shard);
        self.notify(wake.flatten());
        Ok(())
    }

    pub(super) fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let now = self.now();
        let wake = self.held(lease, |shard| {
            Ok(
                shard.edit(&lease.id, &self.budget, Room::default(), |entry| {
                    entry.lapse(now)
                }),
            )
        })?;
        self.notify(wake.flatten());
        Ok(())
    }

    pub(super) fn discard(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut aftermath = Aftermath::default();
        let mut shard = self.shard(&lease.id);
        if let Some(entry) = shard.entry(&lease.id) {
            if !entry.is_held_by(lease) {
                return Err(StoreError::lease_lost());
            }
            shard.remove(&lease.id, &self.budget, &mut aftermath);
        }
        drop(shard);
        self.settle(aftermath);
        Ok(())
    }

    pub(super) fn read(&self, id: &JobId, detail: Detail) -> Option<JobRecord> {
        let now = self.now();
        self.shard(id).entry(id)?.record(now, detail)
    }

    pub(super) fn is_pending(&self, id: &JobId) -> bool {
        self.shard(id).entry(id).is_some_and(Entry::is_pending)
    }

    /// Where to wait for the end of a pending job.
    pub(super) fn wake_of(&self, id: &JobId) -> Option<Arc<Wake>> {
        self.shard(id).wake_of(id)
    }

    pub(super) fn cancel(&self, id: &JobId) -> Cancellation {
        let now = self.now();
        let mut shard = self.shard(id);
        match shard.state(id, now) {
            None => return Cancellation::Unknown,
            Some(state) if state.is_final() => return Cancellation::Ended(state),
            Some(_) => {}
        }
        let wake = shard.edit(id, &self.budget, Room::default(), |entry| {
            entry.revoke(JobState::Cancelled, None, now)
        });
        drop(shard);
        self.notify(wake.flatten());
        Cancellation::Cancelled
    }

    pub(super) fn remove(&self, id: &JobId) -> bool {
        let now = self.now();
        let mut aftermath = Aftermath::default();
        let mut shard = self.shard(id);
        let ended = shard.state(id, now).is_some_and(JobState::is_final);
        let key_counts = |entry: &Entry| entry.key_at(now).is_some();
        if ended && shard.entry(id).is_some_and(key_counts) {
            // Or else a repeat would run the work once more.
            shard.edit(id, &self.budget, Room::default(), Entry::drop_result);
        } else if ended {
            shard.remove(id, &self.budget, &mut aftermath);
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

    /// Does something to a job that is pending by this lease.
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

    pub(super) fn settle(&self, aftermath: Aftermath) {
        for (scope, id) in &aftermath.keys {
            self.keys.part(scope).forget(scope, *id);
        }
        for wake in aftermath.wakes {
            wake.wake_all();
        }
    }

    pub(super) fn notify(&self, wake: Option<Arc<Wake>>) {
        if let Some(wake) = wake {
            wake.wake_all();
        }
    }

    pub(super) fn lease_span(&self) -> Micros {
        self.lease.map_or(NEVER, micros)
    }

    pub(super) fn now(&self) -> Micros {
        let since = self.clock.now().saturating_duration_since(self.origin);
        Micros::try_from(since.as_micros()).unwrap_or(NEVER)
    }

    fn wall(&self) -> u64 {
        let since = self
            .clock
            .system_time()
            .duration_since(SystemTime::UNIX_EPOCH);
        u64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(0)
    }
}

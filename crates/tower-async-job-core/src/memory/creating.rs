//! The creation of jobs.

use std::time::SystemTime;

use super::{
    budget::Room,
    clock::Micros,
    jobs::{Jobs, Taken},
    keys::Scope,
    shard::Shard,
};
use crate::{
    error::StoreError,
    id::JobId,
    job::{NewJob, Start},
    lease::Lease,
    owner::{IdempotencyKey, Principal},
    record::{Created, Detail},
};

impl Jobs {
    /// Creates a job, for which room is made unless the answer needs none.
    pub(super) async fn create_with_room(&self, job: NewJob) -> Result<Created, StoreError> {
        let room = Room::of_job(&job);
        if !self.budget.has(room)
            && let Some(answer) = self.answer_without_room(&job)
        {
            return answer;
        }
        let room = self.reserve(room).await;
        self.create(job, room)
    }

    /// Creates a job with the room taken for it.
    pub(super) fn create(&self, job: NewJob, room: Taken<'_>) -> Result<Created, StoreError> {
        let now = self.now();
        let Some(key) = &job.idempotency else {
            let (created, is_claimable) = self.insert(job, now, room)?;
            self.announce(is_claimable);
            return Ok(created);
        };
        let scope = Scope::new(job.principal.as_ref(), key);
        let id = job.id;
        // Locked until the job is in its shard, so that no other create can use this key in
        // between.
        let mut keys = self.keys.part(&scope);
        if let Some(holder) = keys.job(&scope).filter(|holder| *holder != id)
            && let Some(existing) = self.existing(&holder, key.fingerprint(), now)
        {
            return Ok(existing);
        }
        let (created, is_claimable) = self.insert(job, now, room)?;
        keys.insert(scope, id);
        drop(keys);
        self.announce(is_claimable);
        Ok(created)
    }

    /// Returns the answer to a create that stores no job, if this is one.
    fn answer_without_room(&self, job: &NewJob) -> Option<Result<Created, StoreError>> {
        let now = self.now();
        let answer = answer(&self.shard(&job.id), job, now);
        let answer = answer.or_else(|| {
            let key = job.idempotency.as_ref()?;
            self.look_up(job.principal.as_ref(), key).map(Ok)
        });
        answer.or_else(|| self.budget.queue.check(job).err().map(Err))
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

    /// Returns the answer to another create with the idempotency key of this job.
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

    /// Stores a job, and returns the answer and whether workers can claim something new.
    fn insert(
        &self,
        job: NewJob,
        now: Micros,
        room: Taken<'_>,
    ) -> Result<(Created, bool), StoreError> {
        let wall = self.wall();
        let mut shard = self.shard(&job.id);
        if let Some(answer) = answer(&shard, &job, now) {
            return answer.map(|created| (created, false));
        }
        let room = room?;
        self.budget.queue.join(&job)?;
        let reserved = room.spend();
        let until = now.saturating_add(self.lease_span());
        let (start, lease) = (job.start, job.first_lease());
        let created = shard.insert(job, now, wall, until, &self.budget, reserved);
        Ok((made(start, lease, created), shard.take_claimable()))
    }
}

/// Returns the answer to a create whose id is not free.
fn answer(shard: &Shard, job: &NewJob, now: Micros) -> Option<Result<Created, StoreError>> {
    match shard.entry(&job.id) {
        Some(entry) if entry.repeats(job) => {
            Some(Ok(made(job.start, job.first_lease(), entry.created())))
        }
        None if !shard.is_void(&job.id, now) => None,
        _ => Some(Err(StoreError::conflict())),
    }
}

fn made(start: Start, lease: Lease, created: SystemTime) -> Created {
    match start {
        Start::Offered => Created::Offered { created },
        Start::Running | Start::Queued => Created::New { lease, created },
    }
}

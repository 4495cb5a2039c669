//! The latest jobs that this node has accepted, so that those that a failover loses are seen as
//! lost instead of unknown.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http_polling::JobState;
use tower_async_job_core::{
    JobHandle, JobId, JobIdMap, JobRecord, NewJob, Owner, PendingStatus, Protocol, Start,
};

use crate::time::{Micros, micros, of_day, span, to_day};

/// The number of jobs that are remembered.
const MOST: usize = 100_000;

/// The jobs that this node has accepted.
#[derive(Debug, Default)]
pub(crate) struct Accepted(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    jobs: JobIdMap<Job>,
    /// The ids in the order of their acceptance, with those that were forgotten.
    order: VecDeque<JobId>,
}

#[derive(Debug)]
struct Job {
    handle: JobHandle,
    route: Arc<str>,
    protocol: Protocol,
    pending_status: PendingStatus,
    owner: Option<Box<[u8; 32]>>,
    created: Micros,
    epoch: u64,
    version: u64,
    state: JobState,
    /// The latest time at which it was pending for all that is known, or its end.
    seen: Micros,
    /// The time from then for which the store knows the job, whatever becomes of it.
    known_for: Micros,
    /// True if it has no key and no notification.
    is_plain: bool,
    /// The time since which the record is missing.
    missing: Option<Micros>,
}

/// Returns whether a new job has no key and no notification.
pub(crate) const fn is_plain(new: &NewJob) -> bool {
    new.idempotency.is_none() && new.notify.is_none()
}

impl Accepted {
    /// Notes a job that was stored.
    pub(crate) fn add(&self, new: &NewJob, created: Micros, now: Micros, lease: Micros) {
        let job = Job {
            handle: new.handle,
            route: Arc::clone(&new.route),
            protocol: new.protocol,
            pending_status: new.pending_status,
            owner: new.principal.as_ref().map(|owner| Box::new(owner.digest())),
            created,
            epoch: new.epoch,
            version: 2 * new.epoch + 1,
            state: match new.start {
                Start::Running => JobState::Running,
                _ => JobState::Queued,
            },
            seen: now,
            known_for: micros(new.retention.tombstone).max(lease),
            is_plain: is_plain(new),
            missing: None,
        };
        let mut table = self.lock();
        if table.jobs.insert(new.id, job).is_none() {
            table.order.push_back(new.id);
        }
        if table.order.len() > MOST
            && let Some(oldest) = table.order.pop_front()
        {
            table.jobs.remove(&oldest);
        }
    }

    /// Returns whether this node knows that the job has no key and no notification.
    pub(crate) fn is_plain(&self, id: &JobId) -> bool {
        self.lock().jobs.get(id).is_some_and(|job| job.is_plain)
    }

    /// Notes that a job was removed.
    pub(crate) fn forget(&self, id: &JobId) {
        self.lock().jobs.remove(id);
    }

    /// Notes the record of a job.
    pub(crate) fn saw(&self, record: &JobRecord, now: Micros) {
        if let Some(job) = self.lock().jobs.get_mut(&record.id) {
            job.seen = match record.ended {
                Some(ended) => of_day(ended),
                None => now,
            };
            job.epoch = record.epoch;
            job.version = record.version;
            job.state = record.state;
            job.missing = None;
        }
    }

    /// Returns the record of a job that the store has lost. `None` if it need not know the job.
    ///
    /// For a time, it is shown as it was: its run may be alive, and then stores it again.
    pub(crate) fn missing(&self, id: &JobId, now: Micros, lease: Micros) -> Option<JobRecord> {
        let mut table = self.lock();
        let job = table.jobs.get_mut(id)?;
        if job.missing.is_none() && now >= job.seen.saturating_add(job.known_for) {
            table.jobs.remove(id);
            return None;
        }
        let since = *job.missing.get_or_insert(now);
        let is_over = now.saturating_sub(since) >= lease + lease / 3;
        let state = match job.state {
            _ if is_over => JobState::Lost,
            JobState::Queued | JobState::Running => job.state,
            _ => JobState::Running,
        };
        let mut record = JobRecord::new(*id, job.handle, state);
        // An end that was seen before is taken back.
        record.version = job.version + u64::from(job.state.is_final());
        record.epoch = job.epoch;
        record.route = Arc::clone(&job.route);
        record.protocol = job.protocol;
        record.pending_status = job.pending_status;
        record.owner = job.owner.clone().map(Owner::Digest);
        record.created = to_day(job.created);
        record.age = span(job.created, now);
        if is_over {
            record.version = JobRecord::version_of_lost(record.version);
            record.ended = Some(to_day(since));
        }
        Some(record)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Micros = 30_000_000;

    #[test]
    fn only_the_latest_jobs_are_remembered() {
        let accepted = Accepted::default();
        let id = |number: usize| JobId::from_bits(number as u128);
        for number in 0..=MOST {
            accepted.add(&NewJob::new(id(number)), 0, 0, LEASE);
        }
        let is_known = |number| accepted.missing(&id(number), 1, LEASE).is_some();
        assert!(!is_known(0));
        assert!(is_known(1) && is_known(MOST));
        let table = accepted.lock();
        assert_eq!((table.jobs.len(), table.order.len()), (MOST, MOST));
    }

    #[test]
    fn every_later_view_of_a_lost_job_has_another_version() {
        for (state, is_running) in [
            (JobState::Queued, false),
            (JobState::Running, true),
            (JobState::Done, true),
        ] {
            let accepted = Accepted::default();
            let new = NewJob::new(JobId::random());
            accepted.add(&new, 0, 0, LEASE);
            let version = |state| JobRecord::version_of(state, 3, is_running, 7);
            let mut seen = JobRecord::new(new.id, new.handle, state);
            (seen.version, seen.epoch) = (version(state), 3);
            seen.ended = state.is_final().then(|| to_day(1));
            accepted.saw(&seen, 1);
            let missing = |now| accepted.missing(&new.id, now, LEASE).unwrap();
            let (pending, lost) = (missing(2), missing(2 + 2 * LEASE));
            assert!(pending.state.is_pending() && lost.state == JobState::Lost);
            // One who has seen its end, from any node, sees that it is another.
            for state in [state, JobState::Done] {
                assert_ne!(lost.version, version(state), "{state:?}");
            }
            assert!(lost.version > pending.version);
            assert_eq!(pending.version == seen.version, state.is_pending());
        }
    }
}

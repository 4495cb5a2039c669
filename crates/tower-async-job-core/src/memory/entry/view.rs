//! A job as callers see it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http_polling::JobState;

use super::{Entry, Hold, Pending, Phase};
use crate::{
    lease::Lease,
    memory::clock::{Micros, NEVER},
    owner::{Owner, Principal},
    record::{Detail, JobRecord},
};

impl Entry {
    /// Returns the job's state at this time, before or after a sweep. `None` if it is to be
    /// forgotten.
    pub(in crate::memory) fn state(&self, now: Micros) -> Option<JobState> {
        match &self.phase {
            Phase::Pending(Pending { running: true, .. }) => Some(JobState::Running),
            Phase::Pending(_) => Some(JobState::Queued),
            Phase::Ended { kept, expires, .. } if now < *expires => Some(kept.state()),
            Phase::Ended { at, expires, .. } => {
                let dropped_until = self.usual_expiry(*at).max(*expires);
                self.expired_at(now, dropped_until)
            }
            Phase::Dropped { expires, .. } => self.expired_at(now, *expires),
            Phase::Expired { forgotten, .. } => (now < *forgotten).then_some(JobState::Expired),
        }
    }

    /// Returns the state of a job that expires then, unless it is to be forgotten.
    fn expired_at(&self, now: Micros, expires: Micros) -> Option<JobState> {
        let forgotten = expires.saturating_add(self.terms.tombstone);
        (now < forgotten).then_some(JobState::Expired)
    }

    /// Returns the whole job at this time. `None` if it is to be forgotten. Large parts are shared
    /// and not copied, since the owner has not been checked yet.
    pub(in crate::memory) fn record(&self, now: Micros, detail: Detail) -> Option<JobRecord> {
        let state = self.state(now)?;
        let owner = match &self.phase {
            Phase::Pending(_) | Phase::Ended { .. } => &None,
            Phase::Dropped { owner, .. } | Phase::Expired { owner, .. } => owner,
        };
        let ended = self.ended();
        let started = (self.started != NEVER).then_some(self.started);
        let mut record = JobRecord::new(self.id, self.handle, state);
        record.version = self.version(state);
        record.epoch = self.epoch.into();
        record.attempt = self.attempt.into();
        record.route = Arc::clone(&self.terms.route);
        record.protocol = self.terms.protocol;
        record.pending_status = self.terms.pending_status;
        let named = self.principal.clone().map(Owner::Named);
        record.owner = named.or_else(|| owner.clone().map(Owner::Digest));
        record.created = self.created();
        record.started = started.map(|started| self.wall(started));
        record.ended = ended.map(|ended| self.wall(ended));
        record.age = span(self.created, now);
        record.running_for = started.map(|started| span(started, ended.unwrap_or(now)));
        if state == JobState::Expired {
            return Some(record);
        }
        record.lease_remaining = self.lease_until().map(|until| span(now, until));
        if let Some(extra) = &self.extra {
            record.progress = extra.progress.clone();
            record.partial = extra.partial.clone();
            record.metadata = extra.metadata.clone();
        }
        if let Phase::Ended { kept, .. } = &self.phase {
            let extra = self.extra.as_ref();
            record.notification = extra.and_then(|extra| extra.notification());
            record.result = kept.result(Lease::new(self.id, self.epoch.into()));
            if detail != Detail::Status {
                record.outcome = kept.recorded();
            }
        }
        Some(record)
    }

    /// Returns the end of the lease of the node that has the job, if there is one.
    fn lease_until(&self) -> Option<Micros> {
        let is_outside = || self.party().is_some_and(|party| !party.resumed);
        match self.phase {
            Phase::Pending(Pending {
                hold: Hold::Held { until },
                ..
            }) if until != NEVER && !is_outside() => Some(until),
            _ => None,
        }
    }

    pub(super) fn version(&self, state: JobState) -> u64 {
        let running = matches!(self.phase, Phase::Pending(Pending { running: true, .. }));
        let reports = self.extra.as_ref().map_or(0, |extra| extra.reports);
        JobRecord::version_of(state, self.epoch.into(), running, reports)
    }

    /// Returns whether the chunks written by this lease are, or may become, its result.
    pub(in crate::memory) fn has_chunks(&self, lease: &Lease, now: Micros) -> bool {
        let is_kept = match &self.phase {
            Phase::Pending(_) => true,
            Phase::Ended { expires, .. } => now < *expires,
            Phase::Dropped { .. } | Phase::Expired { .. } => false,
        };
        is_kept && lease.epoch == u64::from(self.epoch)
    }

    /// Returns whether the job belongs to this principal, whose digest is given too.
    pub(in crate::memory) fn is_of(&self, principal: &Principal, digest: &[u8; 32]) -> bool {
        match &self.phase {
            Phase::Dropped { owner, .. } | Phase::Expired { owner, .. } => {
                owner.as_deref() == Some(digest)
            }
            _ => self.principal.as_ref() == Some(principal),
        }
    }

    /// Returns the digest of its principal.
    pub(in crate::memory) fn owner_digest(&self) -> Option<[u8; 32]> {
        match &self.phase {
            Phase::Dropped { owner, .. } | Phase::Expired { owner, .. } => {
                owner.as_deref().copied()
            }
            _ => self.principal.as_ref().map(Principal::digest),
        }
    }

    /// Returns the time of its end.
    pub(in crate::memory) fn ended(&self) -> Option<Micros> {
        match &self.phase {
            Phase::Pending(_) => None,
            Phase::Ended { at, .. } | Phase::Dropped { at, .. } | Phase::Expired { at, .. } => {
                Some(*at)
            }
        }
    }

    /// Returns the time of day of its creation.
    pub(in crate::memory) fn created(&self) -> SystemTime {
        self.wall(self.created)
    }

    /// Converts a time of the store to a time of day, relative to the recorded one, so that every
    /// read returns the same.
    pub(in crate::memory) fn wall(&self, time: Micros) -> SystemTime {
        let since = Duration::from_micros(self.created_wall) + span(self.created, time);
        SystemTime::UNIX_EPOCH
            .checked_add(since)
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

pub(super) fn span(from: Micros, to: Micros) -> Duration {
    Duration::from_micros(to.saturating_sub(from))
}

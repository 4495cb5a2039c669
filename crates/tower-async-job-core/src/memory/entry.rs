mod claiming;
mod delivered;
mod extra;
mod kept;
mod places;
mod remains;
mod size;
mod terms;
mod view;

use std::{sync::Arc as StdArc, time::Duration};

use http_polling::{JobState, Problem, ProblemType};

pub(super) use self::{
    claiming::Claimed,
    places::Places,
    terms::{Kinds, Terms},
};
use self::{delivered::Delivered, extra::Extra, kept::Kept};
use super::{
    clock::{Micros, NEVER, micros, wall_micros},
    keys::JobKey,
};
use crate::{
    end::{End, Report},
    id::{JobHandle, JobId},
    job::{NewJob, Start},
    lease::{Lease, Release, Released, pause_after_loss},
    message::StoredRequest,
    owner::Principal,
    sync::Arc,
    wake::Wake,
};

/// A job, kept small since there may be a million. Rare parts are boxed, and common parts shared.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: JobId,
    pub(super) handle: JobHandle,
    created: Micros,
    /// The time of day at `created`, in microseconds since the Unix epoch.
    pub(super) created_wall: u64,
    /// The time at which the latest run began, or `NEVER`.
    started: Micros,
    epoch: u32,
    /// Narrow to save space, and at most the maximum of attempts.
    attempt: u16,
    pub(super) terms: StdArc<Terms>,
    pub(super) principal: Option<Principal>,
    pub(super) key: Option<Box<JobKey>>,
    extra: Option<Box<Extra>>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Pending(Pending),
    Ended {
        at: Micros,
        expires: Micros,
        kept: Kept,
        delivered: Delivered,
    },
    /// Its result was dropped before its retention was over. Until then its key counts, or its
    /// notification may be claimed.
    Dropped {
        at: Micros,
        expires: Micros,
        owner: OwnerDigest,
    },
    /// Past its retention; only its existence and its owner are known.
    Expired {
        at: Micros,
        forgotten: Micros,
        owner: OwnerDigest,
    },
}

/// The SHA-256 of a job's owner.
type OwnerDigest = Option<Box<[u8; 32]>>;

#[derive(Debug)]
struct Pending {
    running: bool,
    hold: Hold,
    /// The bytes of room reserved for its result. Narrow to save space; a larger result takes the
    /// rest when it is stored.
    reserved: u32,
    /// The deadline of the job.
    deadline: Micros,
    /// Kept if and only if the job may be re-run.
    request: Option<Box<StoredRequest>>,
    /// The wake of tasks that wait for the end; created by the first of them.
    wake: Option<Arc<Wake>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// Held by a worker or an outside party, at least until then.
    Held { until: Micros },
    /// Claimable from then on, and so queued.
    Free { since: Micros },
}

impl Entry {
    pub(super) fn new(
        job: NewJob,
        terms: StdArc<Terms>,
        now: Micros,
        wall: u64,
        until: Micros,
    ) -> Self {
        let running = job.start == Start::Running;
        let hold = match job.start {
            Start::Offered => Hold::Free { since: now },
            Start::Running | Start::Queued => Hold::Held { until },
        };
        let created_wall = job.created.map_or(wall, wall_micros);
        let created = now.saturating_sub(wall.saturating_sub(created_wall));
        let attempt = u16::try_from(job.attempt).unwrap_or(u16::MAX);
        let reports = job.first_reports();
        let mut entry = Self {
            id: job.id,
            handle: job.handle,
            created,
            created_wall,
            started: match running {
                true => now.saturating_sub(micros(job.running_for)),
                false => NEVER,
            },
            epoch: narrow(job.epoch),
            attempt: attempt.max(running.into()),
            terms,
            key: job.key().map(Box::new),
            principal: job.principal,
            extra: job.notify.map(|notify| Box::new(Extra::new(notify))),
            phase: Phase::Pending(Pending {
                running,
                hold,
                reserved: narrow(job.result_room as u64),
                deadline: created.saturating_add(micros(job.deadline)),
                request: job.request.map(Box::new),
                wake: None,
            }),
        };
        if reports > 0 {
            entry.extra.get_or_insert_default().reports = reports;
        }
        entry
    }

    pub(super) fn is_pending(&self) -> bool {
        matches!(self.phase, Phase::Pending(_))
    }

    /// Returns whether it waits for a run.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Pending(Pending { running: false, .. }))
    }

    /// Returns whether the lease holds the job.
    pub(super) fn is_held_by(&self, lease: &Lease) -> bool {
        let is_held = |pending: &Pending| matches!(pending.hold, Hold::Held { .. });
        self.has_epoch(lease) && matches!(&self.phase, Phase::Pending(pending) if is_held(pending))
    }

    /// Returns whether the job is as its creator left it, except for reports.
    pub(super) fn is_discarded_by(&self, lease: &Lease) -> bool {
        self.is_pending() && self.has_epoch(lease)
    }

    fn has_epoch(&self, lease: &Lease) -> bool {
        u64::from(self.epoch) == lease.epoch
    }

    /// Returns whether a create repeats the one of this job, and its answer still holds.
    pub(super) fn repeats(&self, job: &NewJob) -> bool {
        let holds = job.start == Start::Offered || self.is_held_by(&job.first_lease());
        holds
            && self.handle == job.handle
            && self.key.as_deref() == job.key().as_ref()
            && (self.principal == job.principal || !self.is_pending())
    }

    /// Returns whether this lease ended the job with an outcome of this state.
    pub(super) fn ended_so(&self, lease: &Lease, state: JobState) -> bool {
        matches!(&self.phase, Phase::Ended { kept, .. } if kept.state() == state)
            && self.has_epoch(lease)
    }

    pub(super) fn is_cancelled(&self) -> bool {
        matches!(&self.phase, Phase::Ended { kept, .. } if kept.state() == JobState::Cancelled)
    }

    /// Begins the first run, unless it has begun.
    pub(super) fn start(&mut self, now: Micros) {
        if let Phase::Pending(pending) = &mut self.phase
            && !pending.running
        {
            pending.running = true;
            self.started = now;
            self.attempt = self.attempt.saturating_add(1);
        }
    }

    pub(super) fn renew(&mut self, until: Micros) {
        if let Phase::Pending(pending) = &mut self.phase {
            pending.hold = Hold::Held { until };
        }
    }

    /// Returns the bytes of room reserved for the result of a pending job.
    pub(super) fn reserved(&self) -> usize {
        match &self.phase {
            Phase::Pending(pending) => pending.reserved as usize,
            _ => 0,
        }
    }

    pub(super) fn reserve(&mut self, bytes: usize) {
        if let Phase::Pending(pending) = &mut self.phase {
            pending.reserved = pending.reserved.max(narrow(bytes as u64));
        }
    }

    pub(super) fn report(&mut self, report: Report) {
        self.extra.get_or_insert_default().report(report);
    }

    /// Ends a pending job in the name of its lease; returns the wake of its waiters.
    pub(super) fn finish(&mut self, end: End, now: Micros) -> Option<Arc<Wake>> {
        if let Some(report) = end.report {
            self.report(report);
        }
        self.end(end.outcome.into(), now)
    }

    /// Ends a pending job without its holder; returns the wake of its waiters.
    pub(super) fn revoke(
        &mut self,
        state: JobState,
        problem: Option<Problem>,
        now: Micros,
    ) -> Option<Arc<Wake>> {
        // A later finish by the same epoch must not look like a repeated one.
        self.raise_epoch();
        self.end(Kept::problem(state, problem), now)
    }

    fn raise_epoch(&mut self) {
        self.epoch = self.epoch.saturating_add(1);
    }

    fn end(&mut self, kept: Kept, now: Micros) -> Option<Arc<Wake>> {
        let Phase::Pending(pending) = &mut self.phase else {
            return None;
        };
        let wake = pending.wake.take();
        if let Some(extra) = &mut self.extra {
            extra.end(kept.state(), now);
        }
        self.phase = Phase::Ended {
            at: now,
            expires: now.saturating_add(self.terms.result),
            kept,
            delivered: Delivered::NEVER,
        };
        wake
    }

    /// Takes a pending job from its holder: frees it to be claimed, leaves it to an outside party,
    /// or ends it if no worker may re-run it.
    pub(super) fn lapse(&mut self, now: Micros, how: &Release) -> (Released, Option<Arc<Wake>>) {
        if self.go_outside(now, how.outside.as_ref()) {
            return (Released::Outside, None);
        }
        if !how.counts && self.started != NEVER {
            self.attempt = self.attempt.saturating_sub(1);
        }
        if let Some((state, problem)) = self.hopeless(now) {
            return (Released::Ended(state), self.revoke(state, problem, now));
        }
        if let Phase::Pending(pending) = &mut self.phase {
            pending.running = false;
            pending.hold = Hold::Free {
                since: now.saturating_add(micros(how.after)),
            };
            self.started = NEVER;
            self.forget_run();
            self.raise_epoch();
        }
        (Released::Queued, None)
    }

    /// Takes a pending job from a holder whose lease has expired, or ends it at its deadline.
    pub(super) fn lapse_late(&mut self, now: Micros) -> (Released, Option<Arc<Wake>>) {
        let Phase::Pending(pending) = &self.phase else {
            return (Released::Lost, None);
        };
        let ended = match pending.hold {
            Hold::Held { until } => until,
            Hold::Free { .. } => now,
        };
        let since = ended.saturating_add(micros(pause_after_loss(self.attempt.into())));
        let after = Duration::from_micros(since.saturating_sub(now));
        self.lapse(now, &Release::default().with_after(after))
    }

    fn forget_run(&mut self) {
        if let Some(extra) = &mut self.extra {
            extra.forget_run();
        }
    }

    /// Returns the end of a pending job that no worker may re-run.
    fn hopeless(&self, now: Micros) -> Option<(JobState, Option<Problem>)> {
        let Phase::Pending(pending) = &self.phase else {
            return None;
        };
        // The job is not lost without a worker while an outside party has it.
        if pending.deadline <= now && (pending.request.is_some() || self.party().is_some()) {
            let problem = Problem::new(ProblemType::JobTimedOut);
            Some((JobState::TimedOut, Some(problem)))
        } else if pending.request.is_none() {
            Some((JobState::Lost, None))
        } else if self.attempt >= self.terms.max_attempts {
            let detail = format!("none of its {} attempts came to an end", self.attempt);
            let problem = Problem::new(ProblemType::JobFailed).with_detail(detail);
            Some((JobState::Failed, Some(problem)))
        } else {
            None
        }
    }

    /// Returns the wake of tasks that wait for the end; `None` if the job is not pending.
    pub(super) fn wake(&mut self) -> Option<Arc<Wake>> {
        match &mut self.phase {
            Phase::Pending(pending) => Some(Arc::clone(pending.wake.get_or_insert_default())),
            _ => None,
        }
    }

    pub(super) fn take_wake(&mut self) -> Option<Arc<Wake>> {
        match &mut self.phase {
            Phase::Pending(pending) => pending.wake.take(),
            _ => None,
        }
    }
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl NewJob {
    fn key(&self) -> Option<JobKey> {
        let key = self.idempotency.as_ref()?;
        Some(JobKey::new(self.principal.as_ref(), key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_takes_no_more_than_152_bytes_of_its_own() {
        assert!(size_of::<Entry>() <= 152, "{}", size_of::<Entry>());
    }
}

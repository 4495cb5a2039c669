mod kept;
mod remains;
mod size;
mod terms;
mod view;

use std::sync::Arc as StdArc;

use http_polling::{JobState, Problem, ProblemType};

pub(super) use self::terms::{Kinds, Terms};
use self::{kept::Kept, remains::Delivered, view::span};
use super::{
    clock::{Micros, NEVER, micros},
    keys::JobKey,
    wake::Wake,
};
use crate::{
    Claim, JobHandle, JobId, Lease, NewJob, Outcome, Principal, Report, StoredRequest, sync::Arc,
};

/// One job, kept small: there may be a million. What few jobs have is boxed, and what many have in
/// common is shared.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: JobId,
    pub(super) handle: JobHandle,
    created: Micros,
    /// The time of day at `created`, in microseconds of the Unix era.
    pub(super) created_wall: u64,
    /// When the latest run began, or `NEVER`.
    started: Micros,
    epoch: u32,
    /// Narrow for the sake of space, and never above the maximum of attempts.
    attempt: u16,
    pub(super) terms: StdArc<Terms>,
    pub(super) principal: Option<Principal>,
    pub(super) key: Option<Box<JobKey>>,
    report: Option<Box<Report>>,
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
    /// Its result was dropped before its retention was over, and its key counts until then.
    Dropped {
        at: Micros,
        expires: Micros,
        owner: OwnerDigest,
    },
    /// Past its retention; only that it was, and whose it was, is still known.
    Expired {
        at: Micros,
        forgotten: Micros,
        owner: OwnerDigest,
    },
}

/// The SHA-256 of whose a job was.
type OwnerDigest = Option<Box<[u8; 32]>>;

#[derive(Debug)]
struct Pending {
    running: bool,
    hold: Hold,
    /// The bytes of room that are taken for its result. Narrow for the sake of space; what a
    /// result has beyond is taken when it is stored.
    reserved: u32,
    /// When it is to have ended.
    deadline: Micros,
    /// Kept if and only if the job may be run again.
    request: Option<Box<StoredRequest>>,
    /// Where those wait who want to know of the end; made by the first of them.
    wake: Option<Arc<Wake>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// Somebody has the right to run it, until then at least.
    Held { until: Micros },
    /// Nobody has, and it may be claimed. Such a job is queued and has a request.
    Free { since: Micros },
}

/// In which of a shard's time-ordered indexes a job stands, and where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// When something is to happen to it.
    pub(super) due: Option<Micros>,
    /// Since when it waits to be claimed.
    pub(super) free: Option<Micros>,
    /// When it is to be forgotten.
    pub(super) forgotten: Option<Micros>,
    /// The second in which its result was last delivered, in microseconds.
    pub(super) delivered: Option<Micros>,
}

/// What came of claiming a freed job.
pub(super) enum Claimed {
    Given(Box<Claim>),
    /// It ended instead; these are to be told.
    Ended(Option<Arc<Wake>>),
}

impl Entry {
    pub(super) fn new(
        job: NewJob,
        terms: StdArc<Terms>,
        now: Micros,
        wall: u64,
        until: Micros,
    ) -> Self {
        Self {
            id: job.id,
            handle: job.handle,
            created: now,
            created_wall: wall,
            started: if job.running { now } else { NEVER },
            epoch: 1,
            attempt: u16::from(job.running),
            terms,
            key: job.key().map(Box::new),
            principal: job.principal,
            report: None,
            phase: Phase::Pending(Pending {
                running: job.running,
                hold: Hold::Held { until },
                reserved: narrow(job.result_room),
                deadline: now.saturating_add(micros(job.deadline)),
                request: job.request.map(Box::new),
                wake: None,
            }),
        }
    }

    pub(super) fn is_pending(&self) -> bool {
        matches!(self.phase, Phase::Pending(_))
    }

    /// Whether the lease is the right to run the job.
    pub(super) fn is_held_by(&self, lease: &Lease) -> bool {
        self.is_pending() && self.has_epoch(lease)
    }

    fn has_epoch(&self, lease: &Lease) -> bool {
        u64::from(self.epoch) == lease.epoch
    }

    /// Whether the create of this job was for the same job, and its first lease still holds.
    pub(super) fn repeats(&self, job: &NewJob) -> bool {
        self.is_pending()
            && self.epoch == 1
            && self.handle == job.handle
            && self.principal == job.principal
            && self.key.as_deref() == job.key().as_ref()
    }

    /// Whether the job ended by this lease, with this outcome.
    pub(super) fn ended_so(&self, lease: &Lease, outcome: &Outcome) -> bool {
        matches!(&self.phase, Phase::Ended { kept, .. } if kept.is_of(outcome))
            && self.has_epoch(lease)
    }

    pub(super) fn places(&self) -> Places {
        let mut places = Places::default();
        match &self.phase {
            Phase::Pending(pending) => match pending.hold {
                Hold::Held { until } => places.due = Some(until),
                Hold::Free { since } => {
                    places.due = Some(pending.deadline);
                    places.free = Some(since);
                }
            },
            Phase::Ended {
                expires, delivered, ..
            } => {
                places.due = Some(*expires);
                places.delivered = delivered.at();
            }
            Phase::Dropped { expires, .. } => places.due = Some(*expires),
            Phase::Expired { forgotten, .. } => places.forgotten = Some(*forgotten),
        }
        places.due = places.due.filter(|due| *due != NEVER);
        places
    }

    /// Begins the first run, if that has not begun.
    pub(super) fn start(&mut self, now: Micros) {
        if let Phase::Pending(pending) = &mut self.phase
            && !pending.running
        {
            pending.running = true;
            self.started = now;
            self.attempt += 1;
        }
    }

    pub(super) fn renew(&mut self, until: Micros) {
        if let Phase::Pending(pending) = &mut self.phase {
            pending.hold = Hold::Held { until };
        }
    }

    /// The bytes of room that are taken for the result of a pending job.
    pub(super) fn reserved(&self) -> usize {
        match &self.phase {
            Phase::Pending(pending) => pending.reserved as usize,
            _ => 0,
        }
    }

    pub(super) fn reserve(&mut self, bytes: usize) {
        if let Phase::Pending(pending) = &mut self.phase {
            pending.reserved = pending.reserved.max(narrow(bytes));
        }
    }

    pub(super) fn report(&mut self, report: Report) {
        let known = self.report.get_or_insert_default();
        known.progress = report.progress.or(known.progress.take());
        known.partial = report.partial.or(known.partial.take());
        known.metadata = report.metadata.or(known.metadata.take());
    }

    /// Ends a pending job in the name of its lease; gives back whom to tell.
    pub(super) fn finish(&mut self, outcome: Outcome, now: Micros) -> Option<Arc<Wake>> {
        self.end(outcome.into(), now)
    }

    /// Ends a pending job over its holder's head; gives back whom to tell.
    pub(super) fn revoke(
        &mut self,
        state: JobState,
        problem: Option<Problem>,
        now: Micros,
    ) -> Option<Arc<Wake>> {
        // A later finish by the same epoch must not look like a repeated one.
        self.raise_epoch();
        self.end(Kept::Other(state, problem.map(Box::new)), now)
    }

    fn raise_epoch(&mut self) {
        self.epoch = self.epoch.saturating_add(1);
    }

    fn end(&mut self, kept: Kept, now: Micros) -> Option<Arc<Wake>> {
        let Phase::Pending(pending) = &mut self.phase else {
            return None;
        };
        let wake = pending.wake.take();
        self.phase = Phase::Ended {
            at: now,
            expires: now.saturating_add(self.terms.result),
            kept,
            delivered: Delivered::NEVER,
        };
        wake
    }

    /// Takes a pending job from its holder: frees it for others to claim, or ends it where nobody
    /// may run it again.
    pub(super) fn lapse(&mut self, now: Micros) -> Option<Arc<Wake>> {
        if let Some((state, problem)) = self.hopeless(now) {
            return self.revoke(state, problem, now);
        }
        if let Phase::Pending(pending) = &mut self.phase {
            pending.running = false;
            pending.hold = Hold::Free { since: now };
            self.started = NEVER;
            self.raise_epoch();
        }
        None
    }

    /// How a pending job is to end that nobody may run again, if so.
    fn hopeless(&self, now: Micros) -> Option<(JobState, Option<Problem>)> {
        let Phase::Pending(pending) = &self.phase else {
            return None;
        };
        if pending.request.is_none() {
            Some((JobState::Lost, None))
        } else if pending.deadline <= now {
            Some((
                JobState::TimedOut,
                Some(Problem::new(ProblemType::JobTimedOut)),
            ))
        } else if self.attempt >= self.terms.max_attempts {
            let detail = format!("none of its {} attempts came to an end", self.attempt);
            let problem = Problem::new(ProblemType::JobFailed).with_detail(detail);
            Some((JobState::Failed, Some(problem)))
        } else {
            None
        }
    }

    /// Gives a freed job to a new holder, who has it until then; ends it where nobody may run it
    /// again.
    pub(super) fn claim(&mut self, now: Micros, until: Micros) -> Claimed {
        if let Some((state, problem)) = self.hopeless(now) {
            return Claimed::Ended(self.revoke(state, problem, now));
        }
        let Phase::Pending(pending) = &mut self.phase else {
            return Claimed::Ended(None);
        };
        let Some(request) = pending.request.as_deref().cloned() else {
            return Claimed::Ended(None);
        };
        pending.running = true;
        pending.hold = Hold::Held { until };
        let deadline = pending.deadline;
        self.started = now;
        self.attempt += 1;
        self.raise_epoch();
        let mut claim = Claim::new(Lease::new(self.id, self.epoch.into()), self.handle, request);
        claim.attempt = self.attempt.into();
        claim.max_attempts = self.terms.max_attempts.into();
        claim.route = StdArc::clone(&self.terms.route);
        claim.protocol = self.terms.protocol;
        claim.principal = self.principal.clone();
        claim.created = self.wall(self.created);
        claim.age = span(self.created, now);
        claim.deadline = span(self.created, deadline);
        Claimed::Given(Box::new(claim))
    }

    /// Where to wait for the end; `None` if there is nothing to wait for.
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

fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
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

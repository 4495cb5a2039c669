//! Jobs that change hands: claims, notifications, outside parties.

use std::sync::Arc as StdArc;

use bytes::Bytes;
use http_polling::{JobState, Problem, ProblemType};

use super::{
    Entry, Hold, Pending, Phase,
    extra::{Extra, Notice, Party},
    view::span,
};
use crate::{
    claim::{Claim, Task},
    end::Report,
    job::Retention,
    lease::{Lease, Outside},
    memory::clock::{Micros, NEVER, micros},
    message::StoredRequest,
    sync::Arc,
    wake::Wake,
};

/// The result of claiming a freed job.
pub(in crate::memory) enum Claimed {
    Given(Box<Claim>),
    /// It ended instead.
    Ended(Option<Arc<Wake>>),
    /// It ended instead, since it could not be read.
    Unreadable(Option<Arc<Wake>>),
}

impl Entry {
    /// Returns the request of a free job.
    pub(in crate::memory) fn request(&self) -> Option<&StoredRequest> {
        match &self.phase {
            Phase::Pending(pending) => pending.request.as_deref(),
            _ => None,
        }
    }

    /// Gives a free job to a new holder until then, or ends it if no worker may re-run it.
    pub(in crate::memory) fn claim(&mut self, now: Micros, until: Micros) -> Claimed {
        if let Some((state, problem)) = self.hopeless(now) {
            return Claimed::Ended(self.revoke(state, problem, now));
        }
        let request = self.request().filter(|request| request.format().is_some());
        let Some(request) = request.cloned() else {
            let problem = Problem::new(ProblemType::JobFailed);
            let problem = problem.with_detail("the stored request cannot be read");
            return Claimed::Unreadable(self.revoke(JobState::Failed, Some(problem), now));
        };
        self.attempt += 1;
        self.started = now;
        Claimed::Given(Box::new(self.hand_over(Task::Run(request), now, until)))
    }

    /// Gives a job to a new holder until then.
    fn hand_over(&mut self, task: Task, now: Micros, until: Micros) -> Claim {
        let mut remaining = 0;
        if let Phase::Pending(pending) = &mut self.phase {
            pending.running = true;
            pending.hold = Hold::Held { until };
            remaining = pending.deadline;
        }
        self.raise_epoch();
        let lease = Lease::new(self.id, self.epoch.into());
        let mut claim = self.claim_of(lease, task, now);
        claim.attempt = self.attempt.into();
        claim.remaining = span(now, remaining);
        if let Some(rare) = self.extra.as_ref().and_then(|extra| extra.rare.as_ref()) {
            claim.checkpoint = rare.checkpoint.clone();
        }
        claim.fingerprint = self.key.as_ref().map(|key| key.fingerprint);
        claim.retention = Retention::new(span(0, self.terms.result), span(0, self.terms.tombstone));
        claim.notify = self.notice().map(|notice| notice.message.clone());
        claim.version = self.version(JobState::Running);
        claim
    }

    fn claim_of(&self, lease: Lease, task: Task, now: Micros) -> Claim {
        let mut claim = Claim::new(lease, self.handle, task);
        claim.max_attempts = self.terms.max_attempts.into();
        claim.route = StdArc::clone(&self.terms.route);
        claim.protocol = self.terms.protocol;
        claim.pending_status = self.terms.pending_status;
        claim.principal = self.principal.clone();
        claim.created = self.created();
        claim.age = span(self.created, now);
        claim
    }

    fn notice(&self) -> Option<&Notice> {
        self.extra.as_ref()?.rare.as_ref()?.notice.as_ref()
    }

    /// Returns the time from which the notification of an ended job may be claimed, or `NEVER`.
    pub(super) fn notify_due(&self) -> Micros {
        self.notice().map_or(NEVER, |notice| notice.due)
    }

    /// Returns the length of the notification.
    pub(in crate::memory) fn notify_len(&self) -> usize {
        self.notice().map_or(0, |notice| notice.message.len())
    }

    /// Gives the notification of an ended job to a notifier until then.
    pub(in crate::memory) fn claim_notify(&mut self, now: Micros, until: Micros) -> Option<Claim> {
        let (Phase::Ended { at, .. } | Phase::Dropped { at, .. }) = self.phase else {
            return None;
        };
        let ended = self.wall(at);
        let notice = self.extra.as_mut()?.notice_mut()?;
        notice.due = until;
        notice.attempts = notice.attempts.saturating_add(1);
        let attempts = notice.attempts;
        let task = Task::Notify {
            notify: notice.message.clone(),
            state: notice.state,
            ended,
        };
        let mut claim = self.claim_of(Lease::new(self.id, attempts.into()), task, now);
        claim.attempt = attempts;
        claim.remaining = span(now, self.wanted_until());
        Some(claim)
    }

    /// Ends an attempt to notify, to be repeated then or never; returns whether it was the latest.
    pub(in crate::memory) fn notified(&mut self, lease: &Lease, again: Option<Micros>) -> bool {
        let Some(rare) = self.extra.as_mut().and_then(|extra| extra.rare.as_mut()) else {
            return false;
        };
        let claimed = rare.notice.as_mut();
        let Some(notice) = claimed.filter(|notice| u64::from(notice.attempts) == lease.epoch)
        else {
            return false;
        };
        match again {
            Some(due) => notice.due = due,
            None => {
                rare.completed = rare.notice.take().map(|notice| notice.attempts);
                self.drop_unwanted();
            }
        }
        true
    }

    /// Returns the outside party that has the run, also through a node.
    pub(super) fn party(&self) -> Option<&Party> {
        self.extra.as_ref()?.rare.as_ref()?.party.as_ref()
    }

    /// Leaves a job to an outside party, or returns it to the one for which it was resumed; returns
    /// whether there is one.
    pub(super) fn go_outside(&mut self, now: Micros, outside: Option<&Outside>) -> bool {
        let party = match outside {
            Some(outside) => {
                let rare = self
                    .extra
                    .get_or_insert_default()
                    .rare
                    .get_or_insert_default();
                rare.party.insert(Party {
                    token: outside.token,
                    until: now.saturating_add(micros(outside.until)),
                    resumed: false,
                })
            }
            None => match self.party_mut() {
                Some(party) if party.resumed && party.until > now => party,
                _ => return false,
            },
        };
        party.resumed = false;
        let until = party.until;
        self.hold_outside(until);
        self.raise_epoch();
        true
    }

    /// Holds the job for an outside party, at most until its deadline.
    fn hold_outside(&mut self, until: Micros) {
        if let Phase::Pending(Pending { hold, deadline, .. }) = &mut self.phase {
            *hold = Hold::Held {
                until: until.min(*deadline),
            };
        }
    }

    /// Returns whether the outside party with this token has the job.
    pub(in crate::memory) fn has_party(&self, token: &[u8; 32]) -> bool {
        self.is_pending() && self.party().is_some_and(|party| party.token == *token)
    }

    /// Gives a job of an outside party to a node until then.
    pub(in crate::memory) fn resume(&mut self, now: Micros, until: Micros) -> Claim {
        if let Some(party) = self.party_mut() {
            party.resumed = true;
        }
        self.hand_over(Task::Record, now, until)
    }

    fn party_mut(&mut self) -> Option<&mut Party> {
        self.extra.as_mut()?.rare.as_mut()?.party.as_mut()
    }

    /// Prolongs the time of an outside party, and records its report.
    pub(in crate::memory) fn renew_outside(
        &mut self,
        outside: &Outside,
        report: Report,
        now: Micros,
    ) {
        let until = now.saturating_add(micros(outside.until));
        let Some(party) = self.party_mut() else {
            return;
        };
        party.until = until;
        if !party.resumed {
            self.hold_outside(until);
        }
        self.report(report);
    }
}

impl Extra {
    /// Makes the notification due with the end of the job, and drops the data that only runs need.
    pub(super) fn end(&mut self, state: JobState, now: Micros) {
        let Some(rare) = &mut self.rare else {
            return;
        };
        rare.checkpoint = Bytes::new();
        rare.party = None;
        if let Some(notice) = &mut rare.notice {
            notice.due = now;
            notice.state = state;
        }
    }
}

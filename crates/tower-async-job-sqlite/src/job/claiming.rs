//! Jobs that change hands: claims, notifications, outside parties.

use bytes::Bytes;
use http_polling::{JobState, Problem, ProblemType};
use tower_async_job_core::{Claim, Lease, Outside, Report, Retention, StoredRequest, Task};

use super::{
    columns::Job,
    numbers::{pending_status_of, protocol_of},
    state::State,
};
use crate::{
    time::{micros, span, to_day},
    transaction::{Snapshot, Step, Transaction},
};

/// The result of claiming a free job.
pub(crate) enum Claimed {
    Given(Box<Claim>),
    /// It ended instead.
    Ended,
    /// It ended instead, since it could not be read.
    Unreadable,
}

impl Job {
    /// Returns the request of a free job, if it has a readable one.
    pub(crate) fn stored_request(&self, snapshot: &Snapshot<'_>) -> Step<Option<StoredRequest>> {
        let Some(part) = self.request.filter(|_| self.request_format != Some(0)) else {
            return Ok(None);
        };
        match snapshot.part(self.key, part) {
            Ok(data) => Ok(Some(StoredRequest::from_bytes(data.into()))),
            Err(failure) if failure.is_corrupt() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Gives a free job to a new holder, or ends it if no worker may re-run it.
    pub(crate) fn claim(
        &mut self,
        transaction: &Transaction<'_>,
        request: Option<StoredRequest>,
    ) -> Step<Claimed> {
        if let Some(state) = self.give_up(transaction)? {
            transaction.note_lapse(self.id(), state);
            return Ok(Claimed::Ended);
        }
        let Some(request) = request else {
            let problem = Problem::new(ProblemType::JobFailed);
            let problem = problem.with_detail("the stored request cannot be read");
            self.revoke(transaction, State::Failed, Some(&problem))?;
            return Ok(Claimed::Unreadable);
        };
        self.attempt += 1;
        self.started = Some(transaction.now);
        let claim = self.hand_over(transaction, Task::Run(request))?;
        Ok(Claimed::Given(Box::new(claim)))
    }

    /// Gives a job to a new holder.
    fn hand_over(&mut self, transaction: &Transaction<'_>, task: Task) -> Step<Claim> {
        let now = transaction.now;
        self.state = State::Running;
        self.held = true;
        self.turn = None;
        self.due = now.saturating_add(transaction.lease);
        self.epoch += 1;
        let mut claim = self.claim_of(transaction, self.lease(), task);
        claim.attempt = narrow(self.attempt);
        claim.remaining = span(now, self.deadline);
        if let Some(part) = self.checkpoint {
            claim.checkpoint = Bytes::from(transaction.part(self.key, part)?);
        }
        if let Some(digest) = &self.digest {
            let sql = "SELECT fingerprint FROM keys WHERE digest = ? AND job = ?";
            claim.fingerprint = transaction.one(sql, (digest, self.key))?;
        }
        if let Some(part) = self.notify {
            claim.notify = Some(transaction.part(self.key, part)?.into());
        }
        claim.retention = Retention::new(span(0, self.keep), span(0, self.tombstone));
        claim.version = self.version(JobState::Running);
        Ok(claim)
    }

    fn claim_of(&self, snapshot: &Snapshot<'_>, lease: Lease, task: Task) -> Claim {
        let mut claim = Claim::new(lease, self.handle(), task);
        claim.max_attempts = narrow(self.max_attempts);
        claim.route = self.route.clone();
        claim.protocol = protocol_of(self.protocol);
        claim.pending_status = pending_status_of(self.pending_status);
        claim.principal = self.owner.principal().cloned();
        claim.created = to_day(self.created_day);
        claim.age = span(self.created, snapshot.now);
        claim
    }

    /// Gives the notification of an ended job to a notifier; `None` if there is none.
    pub(crate) fn claim_notify(
        &mut self,
        transaction: &Transaction<'_>,
        message: Vec<u8>,
    ) -> Option<Claim> {
        let (ended, state) = (self.ended?, self.notify_state?.shown()?);
        self.notify_due = Some(transaction.now.saturating_add(transaction.lease));
        self.notify_attempts += 1;
        let attempt = self.notify_attempts;
        let task = Task::Notify {
            notify: message.into(),
            state,
            ended: to_day(self.day_of(ended)),
        };
        let lease = Lease::new(self.id(), attempt.unsigned_abs());
        let mut claim = self.claim_of(transaction, lease, task);
        claim.attempt = narrow(attempt);
        claim.remaining = span(transaction.now, self.wanted_until());
        Some(claim)
    }

    /// Leaves a job to an outside party, or returns it to the one for which it was resumed; returns
    /// whether there is one.
    pub(super) fn go_outside(
        &mut self,
        transaction: &Transaction<'_>,
        outside: Option<&Outside>,
    ) -> bool {
        let now = transaction.now;
        let until = match (outside, self.party_until) {
            (Some(outside), _) => {
                self.party = Some(outside.token);
                now.saturating_add(micros(outside.until))
            }
            (None, Some(until)) if self.resumed && until > now => until,
            _ => return false,
        };
        self.party_until = Some(until);
        self.resumed = false;
        self.hold_outside(until);
        self.epoch += 1;
        true
    }

    /// Holds the job for an outside party, at most until its deadline.
    fn hold_outside(&mut self, until: i64) {
        self.held = true;
        self.due = until.min(self.deadline);
    }

    /// Returns whether the outside party with this token has the job.
    pub(crate) fn has_party(&self, token: &[u8; 32]) -> bool {
        self.is_pending() && self.party.as_ref() == Some(token)
    }

    /// Gives a job of an outside party to a node.
    pub(crate) fn resume(&mut self, transaction: &Transaction<'_>) -> Step<Claim> {
        self.resumed = true;
        self.hand_over(transaction, Task::Record)
    }

    /// Prolongs the time of the outside party, and records its report.
    pub(crate) fn renew_outside(
        &mut self,
        transaction: &Transaction<'_>,
        outside: &Outside,
        report: &Report,
    ) -> Step<()> {
        let until = transaction.now.saturating_add(micros(outside.until));
        self.party_until = Some(until);
        if !self.resumed {
            self.hold_outside(until);
        }
        self.report(transaction, report)
    }
}

fn narrow(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

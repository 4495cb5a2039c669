//! The life of a job: its start, its runs, its end.

use http_polling::{JobState, Problem, ProblemType};
use tower_async_job_core::{
    End, NewJob, Outcome, Release, Released, Report, Start, StoreError, pause_after_loss,
};

use super::{
    columns::{Job, key_of, newest_format},
    digest::{owner_hash, route_hash},
    numbers::{handle_number, pending_status_number, protocol_number},
    owner::StoredOwner,
    state::State,
};
use crate::{
    time::{NEVER, micros, of_day, span},
    transaction::{Step, Transaction},
};

impl Job {
    /// Stores a new job.
    pub(crate) fn create(transaction: &Transaction<'_>, new: &NewJob) -> Step<Self> {
        let now = transaction.now;
        let running = new.start == Start::Running;
        let created_day = new.created.map_or(transaction.day, of_day);
        let age = transaction.day.saturating_sub(created_day).max(0);
        let created = now.saturating_sub(age);
        let principal = new.principal.as_ref();
        let key = new.idempotency.as_ref();
        let mut job = Self {
            key: key_of(&new.id),
            format: newest_format(),
            id: new.id.to_bits().to_be_bytes(),
            handle: handle_number(new.handle),
            state: if running {
                State::Running
            } else {
                State::Queued
            },
            held: true,
            epoch: narrow(new.epoch),
            attempt: i64::from(new.attempt).max(running.into()),
            max_attempts: i64::from(new.max_attempts).max(1),
            reports: narrow(new.first_reports()),
            due: now.saturating_add(transaction.lease),
            turn: None,
            deadline: created.saturating_add(micros(new.deadline)),
            created,
            created_day,
            started: running.then(|| now.saturating_sub(micros(new.running_for))),
            ended: None,
            keep: micros(new.retention.result),
            tombstone: micros(new.retention.tombstone),
            protocol: protocol_number(new.protocol),
            pending_status: pending_status_number(new.pending_status),
            route: new.route.clone(),
            route_hash: route_hash(&new.route),
            owner: StoredOwner::of(principal),
            owner_hash: owner_hash(principal),
            digest: key.map(|key| key.digest(principal)),
            request: None,
            request_format: None,
            response: None,
            body_len: None,
            chunks: None,
            chunked: false,
            progress: None,
            partial: None,
            metadata: None,
            checkpoint: None,
            notify: None,
            notify_due: None,
            notify_attempts: 0,
            notify_state: None,
            party: None,
            party_until: None,
            resumed: false,
            delivered: None,
        };
        if let Some(request) = &new.request {
            job.request = Some(transaction.add_part(job.key, request.as_bytes())?);
            job.request_format = Some(request.format().unwrap_or(0).into());
        }
        if let Some(notify) = &new.notify {
            job.notify = Some(transaction.add_part(job.key, notify)?);
        }
        if new.start == Start::Offered {
            job.free(transaction, now)?;
        }
        job.insert(transaction)?;
        Ok(job)
    }

    /// Begins the first run, unless it has begun.
    pub(crate) fn start(&mut self, transaction: &Transaction<'_>) {
        if self.state == State::Queued {
            self.state = State::Running;
            self.started = Some(transaction.now);
            self.attempt += 1;
        }
    }

    pub(crate) fn report(&mut self, transaction: &Transaction<'_>, report: &Report) -> Step<()> {
        if let Some(progress) = &report.progress {
            let json = serde_json::to_vec(progress).map_err(StoreError::corrupt)?;
            self.progress = Some(transaction.add_part(self.key, &json)?);
        }
        if let Some(partial) = &report.partial {
            self.partial = Some(transaction.add_part(self.key, partial.as_bytes())?);
        }
        if let Some(metadata) = &report.metadata {
            self.metadata = Some(transaction.add_part(self.key, metadata.as_bytes())?);
        }
        if let Some(checkpoint) = &report.checkpoint {
            self.checkpoint = Some(transaction.add_part(self.key, checkpoint)?);
        }
        let is_visible = report.progress.is_some() || report.partial.is_some();
        self.reports += i64::from(is_visible || report.metadata.is_some());
        Ok(())
    }

    /// Ends a pending job in the name of its lease.
    pub(crate) fn finish(&mut self, transaction: &Transaction<'_>, end: &End) -> Step<()> {
        if let Some(report) = &end.report {
            self.report(transaction, report)?;
        }
        let state = match end.outcome.state() {
            JobState::Done => State::Done,
            JobState::TimedOut => State::TimedOut,
            JobState::Lost => State::Lost,
            _ => State::Failed,
        };
        match &end.outcome {
            Outcome::Done(response) => {
                self.body_len = Some(narrow(response.body_len()));
                self.response = Some(transaction.add_part(self.key, response.as_bytes())?);
            }
            Outcome::Streamed { head, chunks, len } => {
                self.body_len = Some(narrow(*len));
                self.chunks = Some(i64::from(*chunks));
                self.response = Some(transaction.add_part(self.key, head.as_bytes())?);
            }
            Outcome::Failed(problem) | Outcome::TimedOut(problem) | Outcome::Lost(problem) => {
                self.response = Some(transaction.add_part(self.key, &problem.to_json())?);
            }
            _ => {
                let unknown = "this kind of outcome cannot be stored";
                return Err(StoreError::unavailable(unknown).into());
            }
        }
        self.end(transaction, state);
        Ok(())
    }

    /// Ends a pending job without its holder.
    pub(crate) fn revoke(
        &mut self,
        transaction: &Transaction<'_>,
        state: State,
        problem: Option<&Problem>,
    ) -> Step<()> {
        // A later finish by the same epoch must not look like a repeated one.
        self.epoch += 1;
        if let Some(problem) = problem {
            self.response = Some(transaction.add_part(self.key, &problem.to_json())?);
        }
        self.end(transaction, state);
        Ok(())
    }

    fn end(&mut self, transaction: &Transaction<'_>, state: State) {
        let now = transaction.now;
        self.state = state;
        self.held = false;
        self.turn = None;
        self.ended = Some(now);
        self.due = now.saturating_add(self.keep);
        self.request = None;
        self.request_format = None;
        self.checkpoint = None;
        self.forget_party();
        if self.notify.is_some() {
            self.notify_due = Some(now);
            self.notify_state = Some(state);
        }
    }

    /// Takes a pending job from its holder: frees it to be claimed, leaves it to an outside party,
    /// or ends it if no worker may re-run it.
    pub(crate) fn lapse(&mut self, transaction: &Transaction<'_>, how: &Release) -> Step<Released> {
        if self.go_outside(transaction, how.outside.as_ref()) {
            return Ok(Released::Outside);
        }
        if !how.counts && self.started.is_some() {
            self.attempt = (self.attempt - 1).max(0);
        }
        if let Some(state) = self.give_up(transaction)? {
            return Ok(Released::Ended(state));
        }
        self.state = State::Queued;
        self.started = None;
        self.progress = None;
        self.partial = None;
        self.forget_party();
        self.epoch += 1;
        self.free(
            transaction,
            transaction.now.saturating_add(micros(how.after)),
        )?;
        Ok(Released::Queued)
    }

    /// Takes a pending job from a holder whose lease has expired, or ends it at its deadline.
    pub(crate) fn lapse_late(&mut self, transaction: &Transaction<'_>) -> Step<()> {
        let attempts = u32::try_from(self.attempt).unwrap_or(u32::MAX);
        let since = self.due.saturating_add(micros(pause_after_loss(attempts)));
        let how = Release::default().with_after(span(transaction.now, since));
        if let Released::Ended(state) = self.lapse(transaction, &how)? {
            transaction.note_lapse(self.id(), state);
        }
        Ok(())
    }

    /// Ends a pending job that no worker may re-run; returns its state if so.
    pub(crate) fn give_up(&mut self, transaction: &Transaction<'_>) -> Step<Option<JobState>> {
        let has_run = self.request.is_some() || self.party.is_some();
        // The job is not lost without a worker while an outside party has it.
        let (state, problem) = if self.deadline <= transaction.now && has_run {
            let problem = Problem::new(ProblemType::JobTimedOut);
            (State::TimedOut, Some(problem))
        } else if self.request.is_none() {
            (State::Lost, None)
        } else if self.attempt >= self.max_attempts {
            let detail = format!("none of its {} attempts came to an end", self.attempt);
            let problem = Problem::new(ProblemType::JobFailed).with_detail(detail);
            (State::Failed, Some(problem))
        } else {
            return Ok(None);
        };
        self.revoke(transaction, state, problem.as_ref())?;
        Ok(state.shown())
    }

    /// Frees a queued job, which may be claimed from then on.
    pub(crate) fn free(&mut self, transaction: &Transaction<'_>, since: i64) -> Step<()> {
        self.held = false;
        if since <= transaction.now {
            self.turn = Some(self.next_turn(transaction)?);
            self.due = self.deadline;
        } else {
            self.turn = None;
            self.due = since.min(self.deadline);
        }
        Ok(())
    }

    /// Returns the next turn of the job's owner: one after the later of the first turn that waits,
    /// and the owner's last. So each owner takes part in each round, however many jobs others have.
    ///
    /// The first turn is that of the job's route, since no worker may claim jobs of another one; if
    /// none waits, it is the latest that was claimed.
    fn next_turn(&self, transaction: &Transaction<'_>) -> Step<i64> {
        let first = "SELECT min(turn) FROM jobs WHERE route_hash = ? AND turn IS NOT NULL";
        let first: Option<i64> = transaction.one(first, [self.route_hash])?.flatten();
        let first = match first {
            Some(first) => Some(first),
            None => transaction.one("SELECT turn FROM store", [])?,
        };
        let last = "SELECT max(turn) FROM jobs WHERE owner_hash = ? AND state < 2";
        let last: Option<i64> = transaction.one(last, [self.owner_hash])?.flatten();
        Ok(first.into_iter().chain(last).max().unwrap_or(0) + 1)
    }

    pub(super) fn forget_party(&mut self) {
        self.party = None;
        self.party_until = None;
        self.resumed = false;
    }
}

/// Converts a number that fits into 63 bits, unless it is made up.
fn narrow(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(NEVER)
}

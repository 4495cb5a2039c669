//! A job after its end: delivered, dropped, expired, void.

use tower_async_job_core::JobId;

use super::{
    columns::{Job, key_of, newest_format},
    owner::StoredOwner,
    state::State,
};
use crate::{
    notes::Delivery,
    time::{Micros, SECOND},
    transaction::{Step, Transaction},
};

impl Job {
    /// Notes that the result was delivered.
    pub(crate) fn deliver(&mut self, delivery: &Delivery) {
        if !self.state.is_kept_end() || self.due <= delivery.at {
            return;
        }
        self.delivered = Some(delivery.at / SECOND * SECOND);
        let usual = self.usual_expiry();
        if let Some(until) = delivery.until
            && self.due <= usual
        {
            self.due = usual.min(until);
        }
    }

    /// Returns whether the key still counts.
    pub(crate) fn key_counts(&self, now: Micros) -> bool {
        self.digest.is_some() && now < self.wanted_until()
    }

    /// Returns whether the key or the notification still needs the job.
    pub(crate) fn is_wanted(&self, now: Micros) -> bool {
        (self.digest.is_some() || self.notify_due.is_some()) && now < self.wanted_until()
    }

    pub(super) fn wanted_until(&self) -> Micros {
        match self.state {
            State::Queued | State::Running => Micros::MAX,
            State::Dropped => self.due,
            State::Expired | State::Void => 0,
            _ => self.due.max(self.usual_expiry()),
        }
    }

    /// Returns the time when an ended job expires, unless a delivery changes it.
    pub(super) fn usual_expiry(&self) -> Micros {
        let ended = self.ended.unwrap_or(self.created);
        ended.saturating_add(self.keep)
    }

    /// Drops the result of an ended job. Until the end of the usual retention, its key counts and
    /// its notification may be claimed.
    pub(crate) fn drop_result(&mut self) {
        if self.state.is_kept_end() {
            self.due = self.due.max(self.usual_expiry());
            self.state = State::Dropped;
            self.drop_contents();
        }
        self.drop_unwanted();
    }

    fn drop_contents(&mut self) {
        self.request = None;
        self.request_format = None;
        self.response = None;
        self.body_len = None;
        self.chunks = None;
        self.progress = None;
        self.partial = None;
        self.metadata = None;
        self.checkpoint = None;
        self.delivered = None;
        self.route = "".into();
        self.owner = self.owner.without_name();
    }

    /// Expires a job whose result is dropped, if neither key nor notification need it.
    pub(crate) fn drop_unwanted(&mut self) {
        if self.state == State::Dropped && self.digest.is_none() && self.notify.is_none() {
            self.state = State::Expired;
            self.due = self.due.saturating_add(self.tombstone);
        }
    }

    /// Drops everything except the tombstone of an ended job whose retention is over.
    pub(crate) fn expire(&mut self, transaction: &Transaction<'_>) -> Step<()> {
        if !self.is_wanted(transaction.now) {
            self.forget_key(transaction)?;
            self.digest = None;
            self.notify = None;
            self.notify_due = None;
        }
        self.drop_result();
        Ok(())
    }

    /// Leaves only a void until then, so that no create stores a job with this id.
    pub(crate) fn become_void(&mut self, transaction: &Transaction<'_>, until: Micros) -> Step<()> {
        self.forget_key(transaction)?;
        self.drop_contents();
        self.state = State::Void;
        self.held = false;
        self.turn = None;
        self.digest = None;
        self.notify = None;
        self.notify_due = None;
        self.party = None;
        self.owner = StoredOwner::None;
        self.due = until;
        Ok(())
    }

    /// Stores a void for an id that has no row.
    pub(crate) fn insert_void(
        transaction: &Transaction<'_>,
        id: &JobId,
        until: Micros,
    ) -> Step<()> {
        let sql = "INSERT INTO jobs (key, format, id, handle, state, held, epoch, attempt, \
                   max_attempts, reports, due, deadline, created, created_day, keep, tombstone, \
                   protocol, pending_status, route, route_hash, owner_hash, chunked, \
                   notify_attempts, resumed) \
                   VALUES (?, ?, ?, 0, ?, 0, 1, 0, 1, 0, ?, 0, 0, 0, 0, 0, 0, 0, '', 1, 0, 0, 0, 0)";
        let bytes = id.to_bits().to_be_bytes();
        transaction.execute(
            sql,
            (key_of(id), newest_format(), bytes, State::Void, until),
        )?;
        Ok(())
    }
}

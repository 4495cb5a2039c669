//! A job after its end: delivered, dropped, expired.

use std::sync::Arc;

use super::{Entry, OwnerDigest, Phase, delivered::Delivered};
use crate::memory::{
    clock::{Micros, NEVER, SECOND},
    keys::JobKey,
};

impl Entry {
    /// Returns whether to note a delivery now: one note per second is enough.
    pub(in crate::memory) fn is_to_note(&self, now: Micros) -> bool {
        match &self.phase {
            Phase::Ended {
                expires, delivered, ..
            } => now < *expires && *delivered != Delivered::in_second_of(now),
            _ => false,
        }
    }

    /// Notes that the result was delivered. Its retention then ends after `keep`, unless it ends
    /// sooner or was extended.
    pub(in crate::memory) fn deliver(&mut self, now: Micros, keep: Option<Micros>) {
        let Phase::Ended {
            at,
            expires,
            delivered,
            ..
        } = &mut self.phase
        else {
            return;
        };
        *delivered = Delivered::in_second_of(now);
        let usual = at.saturating_add(self.terms.result);
        if let Some(keep) = keep
            && *expires <= usual
        {
            // Only the first note within a second counts.
            *expires = usual.min(now.saturating_add(keep).saturating_add(SECOND));
        }
    }

    /// Returns the key, while it counts.
    pub(in crate::memory) fn key_at(&self, now: Micros) -> Option<&JobKey> {
        self.key.as_deref().filter(|_| now < self.wanted_until())
    }

    /// Returns whether the key or the notification still needs the job.
    pub(in crate::memory) fn is_wanted(&self, now: Micros) -> bool {
        (self.key.is_some() || self.notify_due() != NEVER) && now < self.wanted_until()
    }

    pub(super) fn wanted_until(&self) -> Micros {
        match self.phase {
            Phase::Pending(_) => NEVER,
            Phase::Ended { at, expires, .. } => expires.max(self.usual_expiry(at)),
            Phase::Dropped { expires, .. } => expires,
            Phase::Expired { .. } => 0,
        }
    }

    /// Returns the time when a job that ended then expires, unless a delivery changes it.
    pub(super) fn usual_expiry(&self, at: Micros) -> Micros {
        at.saturating_add(self.terms.result)
    }

    /// Drops the result of an ended job. Until the end of the usual retention, its key counts and
    /// its notification may be claimed.
    pub(in crate::memory) fn drop_result(&mut self) {
        let Phase::Ended { at, expires, .. } = self.phase else {
            return;
        };
        let owner = self.drop_content();
        let expires = expires.max(self.usual_expiry(at));
        self.phase = Phase::Dropped { at, expires, owner };
        self.drop_unwanted();
    }

    /// Expires a job whose result is dropped, if neither key nor notification need it.
    pub(super) fn drop_unwanted(&mut self) {
        if let Phase::Dropped { at, expires, owner } = &mut self.phase
            && self.key.is_none()
            && self.extra.as_ref().is_none_or(|extra| extra.is_silent())
        {
            let (at, expires, owner) = (*at, *expires, owner.take());
            self.extra = None;
            self.phase = self.expired(at, expires, owner);
        }
    }

    /// Drops everything except the tombstone of an ended job, and returns its key if that no longer
    /// counts.
    pub(in crate::memory) fn expire(&mut self, now: Micros) -> Option<Box<JobKey>> {
        if self.is_wanted(now) {
            self.drop_result();
            return None;
        }
        let key = self.key.take();
        self.extra = None;
        self.drop_result();
        self.drop_unwanted();
        key
    }

    fn expired(&self, at: Micros, expires: Micros, owner: OwnerDigest) -> Phase {
        let forgotten = expires.saturating_add(self.terms.tombstone);
        Phase::Expired {
            at,
            forgotten,
            owner,
        }
    }

    /// Drops all memory except for the outcome; returns the part of the owner that is kept.
    fn drop_content(&mut self) -> OwnerDigest {
        self.extra = self.extra.take().and_then(|extra| extra.into_notice());
        if !self.terms.is_shared() {
            self.terms = Arc::new(self.terms.without_route());
        }
        let owner = self.principal.take()?;
        Some(Box::new(owner.digest()))
    }

    /// Keeps an ended job at least until then; returns whether there was a result to keep.
    pub(in crate::memory) fn extend(&mut self, now: Micros, until: Micros) -> bool {
        match &mut self.phase {
            Phase::Ended { expires, .. } if now < *expires => {
                *expires = until.max(*expires);
                true
            }
            _ => false,
        }
    }
}

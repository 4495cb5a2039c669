//! Jobs that change hands: releases, outside parties, claims, notifications.

use std::{collections::BTreeSet, ops::ControlFlow, time::Duration};

use super::{
    budget::Room,
    clock::{Micros, micros},
    entry::{Claimed, Entry},
    jobs::{Jobs, Taken, not_held},
    pace::Pace,
    shard::Shard,
};
use crate::{
    claim::{Claim, ClaimKind, ClaimQuery, Claims},
    end::Report,
    error::StoreError,
    id::JobId,
    lease::{Lease, Outside, Release, Released, Renewal},
    sync::{MutexGuard, lock},
};

/// The maximum number of jobs claimed by one call.
const CLAIM_QUOTA: usize = 256;

impl Jobs {
    pub(super) async fn release(&self, leases: &[Lease], how: &Release) -> Vec<Released> {
        let mut pace = Pace::default();
        let mut released = Vec::with_capacity(leases.len());
        for lease in leases {
            released.push(self.release_one(lease, how));
            pace.spend(Pace::STEP).await;
        }
        released
    }

    fn release_one(&self, lease: &Lease, how: &Release) -> Released {
        let now = self.now();
        let mut shard = self.shard(&lease.id);
        if !shard
            .entry(&lease.id)
            .is_some_and(|entry| entry.is_held_by(lease))
        {
            return Released::Lost;
        }
        let lapsed = shard.edit(&lease.id, &self.budget, Room::default(), |entry| {
            entry.lapse(now, how)
        });
        let (released, wake) = lapsed.unwrap_or((Released::Lost, None));
        self.leave(shard, wake);
        released
    }

    pub(super) fn resume(&self, id: &JobId, token: &[u8; 32]) -> Option<Claim> {
        let now = self.now();
        let until = now.saturating_add(self.lease_span());
        let mut shard = self.shard(id);
        shard.entry(id).filter(|entry| entry.has_party(token))?;
        shard.edit(id, &self.budget, Room::default(), |entry| {
            entry.resume(now, until)
        })
    }

    pub(super) fn renew_outside(
        &self,
        id: &JobId,
        outside: &Outside,
        report: Report,
        room: Taken<'_>,
    ) -> Result<Renewal, StoreError> {
        let now = self.now();
        let mut shard = self.shard(id);
        let has_party = |entry: &Entry| entry.has_party(&outside.token);
        if !shard.entry(id).is_some_and(has_party) {
            return Ok(not_held(&shard, id, now));
        }
        let reserved = room?.spend();
        shard.edit(id, &self.budget, reserved, |entry| {
            entry.renew_outside(outside, report, now)
        });
        Ok(Renewal::Held)
    }

    pub(super) fn notified(
        &self,
        lease: &Lease,
        again: Option<Duration>,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let again = again.map(|after| now.saturating_add(micros(after)));
        let mut shard = self.shard(&lease.id);
        let notified = shard.edit(&lease.id, &self.budget, Room::default(), |entry| {
            entry.notified(lease, again)
        });
        self.leave(shard, None);
        match notified {
            Some(true) => Ok(()),
            _ => Err(StoreError::lease_lost()),
        }
    }

    pub(super) async fn claim(&self, query: &ClaimQuery) -> Claims {
        let now = self.now();
        let mut claims = Claims::new(self.shown(now));
        if !query.expects(claims.now) {
            return claims;
        }
        while self.sweep_due(now).await == Some(Duration::ZERO) {}
        let mut pace = Pace::default();
        let mut waiting = Waiting::new(query);
        let mut next = None;
        for shard in &self.shards {
            let mut behind = None;
            loop {
                let (looks, last) = {
                    let shard = lock(shard);
                    let later = shard.next_claimable(query.kind, now);
                    next = later.into_iter().chain(next).min();
                    waiting.look(&shard, behind, now)
                };
                pace.spend(Pace::LOCK + looks).await;
                behind = last;
                if behind.is_none() {
                    break;
                }
            }
        }
        // No yield from here on: claims dropped with this future would stay held, possibly for
        // ever.
        // A worker that takes nothing need not know of tasks that wait already.
        let is_whole = self.take(waiting, now, &mut claims) || query.limit == 0;
        claims.next = if is_whole {
            next.map(|next| Duration::from_micros(next.saturating_sub(now)))
        } else {
            Some(Duration::ZERO)
        };
        claims
    }

    /// Claims the tasks found; returns whether these are all.
    fn take(&self, waiting: Waiting<'_>, now: Micros, claims: &mut Claims) -> bool {
        let Waiting {
            query,
            places,
            limit,
        } = waiting;
        let mut is_whole = places.len() <= limit;
        let mut bytes = 0usize;
        for (_, id) in places.into_iter().take(limit) {
            let shard = self.shard(&id);
            if !shard.is_claimable(&id, query.kind, now) {
                is_whole = false;
                continue;
            }
            let len = shard.entry(&id).map_or(0, |entry| match query.kind {
                ClaimKind::Work => entry.request().map_or(0, |request| request.len()),
                ClaimKind::Notify => entry.notify_len(),
            });
            bytes = bytes.saturating_add(len);
            if bytes > query.max_bytes && !claims.jobs.is_empty() {
                return false;
            }
            self.take_one(shard, &id, query.kind, now, claims);
        }
        is_whole
    }

    fn take_one(
        &self,
        mut shard: MutexGuard<'_, Shard>,
        id: &JobId,
        kind: ClaimKind,
        now: Micros,
        claims: &mut Claims,
    ) {
        let span = match kind {
            ClaimKind::Work => self.lease_span(),
            ClaimKind::Notify => self.short_span(),
        };
        let until = now.saturating_add(span);
        let mut wake = None;
        shard.edit(id, &self.budget, Room::default(), |entry| match kind {
            ClaimKind::Notify => claims.jobs.extend(entry.claim_notify(now, until)),
            ClaimKind::Work => match entry.claim(now, until) {
                Claimed::Given(claim) => claims.jobs.push(*claim),
                Claimed::Ended(ended) => {
                    self.ended.note([*id]);
                    wake = ended;
                }
                Claimed::Unreadable(ended) => {
                    claims.unreadable.push(entry.handle);
                    wake = ended;
                }
            },
        });
        self.leave(shard, wake);
    }
}

/// Claimable tasks that match a query, the longest waiting first.
struct Waiting<'a> {
    query: &'a ClaimQuery,
    limit: usize,
    /// One more than may be claimed, to find the next.
    places: BTreeSet<(Micros, JobId)>,
}

impl<'a> Waiting<'a> {
    fn new(query: &'a ClaimQuery) -> Self {
        Self {
            query,
            limit: query.limit.min(CLAIM_QUOTA),
            places: BTreeSet::new(),
        }
    }

    /// Scans some claimable tasks of a shard; returns the number of looks, and the position to
    /// continue at.
    fn look(
        &mut self,
        shard: &Shard,
        behind: Option<(Micros, u32)>,
        now: Micros,
    ) -> (usize, Option<(Micros, u32)>) {
        let mut looks = 0;
        let looked =
            shard
                .claimable(self.query.kind, behind, now)
                .try_for_each(|(place, entry)| {
                    looks += 1;
                    if !self.consider(place.0, entry) {
                        return ControlFlow::Break(None);
                    }
                    if looks == Pace::LOCKED_LOOKS {
                        return ControlFlow::Break(Some(place));
                    }
                    ControlFlow::Continue(())
                });
        (looks, looked.break_value().flatten())
    }

    /// Adds a task that matches the query; returns whether later ones may be added as well.
    fn consider(&mut self, since: Micros, entry: &Entry) -> bool {
        let is_full = self.places.len() > self.limit;
        if is_full && self.places.last().is_some_and(|(last, _)| since >= *last) {
            return false;
        }
        if self.is_for(entry) {
            self.places.insert((since, entry.id));
            if is_full {
                self.places.pop_last();
            }
        }
        true
    }

    fn is_for(&self, entry: &Entry) -> bool {
        let is_new = |format| format > self.query.newest_format;
        let format = entry.request().and_then(|request| request.format());
        let routes = self.query.routes.as_ref();
        !format.is_some_and(is_new)
            && routes.is_none_or(|routes| routes.contains(&entry.terms.route))
    }
}

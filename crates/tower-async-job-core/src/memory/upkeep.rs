//! What becomes due by the passing of time.

use std::time::Duration;

use super::{
    clock::{Micros, NEVER},
    entry::Claimed,
    jobs::Jobs,
    pace::Pace,
    shard::{Aftermath, Shard},
};
use crate::{
    Claim, Lease, Renewal,
    sync::{Mutex, Ordering, lock},
};

/// The steps of one sweep: enough to be done soon, and few enough for leases to be renewed between
/// two sweeps.
const SWEEP_QUOTA: usize = 1 << 15;

/// The most jobs that one call claims.
const CLAIM_QUOTA: usize = 256;

/// How long a sweep may be put off while there are jobs, though nothing is known to be due: one
/// may end in the meantime, and be kept for a short time only.
const LONGEST_REST: Duration = Duration::from_secs(60);

impl Jobs {
    pub(super) async fn claim(&self, limit: usize) -> Vec<Claim> {
        while self.sweep().await == Some(Duration::ZERO) {}
        // From here on without another turn: a claim that is lost with this future may be held
        // for ever.
        let now = self.now();
        let until = now.saturating_add(self.lease_span());
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut claims = Vec::new();
        // One job of each shard in turn, until a whole round has found none.
        let (mut found, mut empty) = (0, 0);
        for step in 0.. {
            if found == limit.min(CLAIM_QUOTA) || empty == self.shards.len() {
                break;
            }
            let shard = &self.shards[first.wrapping_add(step) % self.shards.len()];
            let claimed = lock(shard).claim(now, until, &self.budget);
            (found, empty) = match &claimed {
                Some(_) => (found + 1, 0),
                None => (found, empty + 1),
            };
            match claimed {
                Some(Claimed::Given(claim)) => claims.push(*claim),
                Some(Claimed::Ended(wake)) => self.notify(wake),
                None => {}
            }
        }
        claims
    }

    pub(super) async fn renew_all(&self, leases: &[Lease]) -> Vec<Renewal> {
        let mut pace = Pace::default();
        let mut renewals = Vec::with_capacity(leases.len());
        for lease in leases {
            renewals.push(self.renew(lease));
            pace.spend(Pace::STEP).await;
        }
        renewals
    }

    pub(super) async fn sweep(&self) -> Option<Duration> {
        let now = self.now();
        let mut pace = Pace::default();
        let mut left = SWEEP_QUOTA;
        let mut next = None;
        for shard in &self.shards {
            loop {
                let quota = left.min(Pace::LOCKED_STEPS);
                let steps = self.expire(shard, now, quota);
                left -= steps;
                pace.spend(Pace::LOCK + Pace::STEP * steps).await;
                if left == 0 {
                    return Some(Duration::ZERO);
                }
                if steps < quota {
                    break;
                }
            }
            let shard = lock(shard);
            if !shard.is_empty() {
                let due = shard.next_due().unwrap_or(NEVER);
                next = Some(due.min(next.unwrap_or(NEVER)));
            }
        }
        let rest = next?.saturating_sub(self.now());
        Some(Duration::from_micros(rest).min(LONGEST_REST))
    }

    /// Does what is due in a shard, so many steps of it at most; returns how many it did.
    pub(super) fn expire(&self, shard: &Mutex<Shard>, now: Micros, quota: usize) -> usize {
        let mut aftermath = Aftermath::default();
        let steps = lock(shard).expire(now, quota, &self.budget, &mut aftermath);
        self.settle(aftermath);
        steps
    }
}

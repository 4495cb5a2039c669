//! What becomes due by the passing of time.

use std::time::Duration;

use super::{
    clock::{Micros, NEVER},
    jobs::Jobs,
    shard::Aftermath,
};
use crate::{
    Claim,
    sync::{Ordering, lock},
};

/// How many steps one sweep takes before it lets others go first.
pub(super) const SWEEP_QUOTA: usize = 4096;

/// How many of them it takes under one lock.
const LOCK_QUOTA: usize = 128;

/// How long a sweep may be put off while there are jobs, though nothing is known to be due: one
/// may end in the meantime, and be kept for a short time only.
const LONGEST_REST: Duration = Duration::from_secs(60);

impl Jobs {
    pub(super) fn claim(&self, limit: usize) -> Vec<Claim> {
        let now = self.now();
        self.expire(now, SWEEP_QUOTA);
        let until = now.saturating_add(self.lease_span());
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut claims = Vec::new();
        // One job of each shard in turn, until a whole round has found none.
        let mut empty = 0;
        for step in 0.. {
            if claims.len() >= limit || empty == self.shards.len() {
                break;
            }
            let shard = &self.shards[first.wrapping_add(step) % self.shards.len()];
            let mut aftermath = Aftermath::default();
            let claim = lock(shard).claim(now, until, &self.budget, &mut aftermath);
            self.settle(aftermath);
            empty = if claim.is_some() { 0 } else { empty + 1 };
            claims.extend(claim);
        }
        claims
    }

    pub(super) fn sweep(&self) -> Option<Duration> {
        let now = self.now();
        if self.expire(now, SWEEP_QUOTA) == SWEEP_QUOTA {
            return Some(Duration::ZERO);
        }
        let mut rest = None;
        for shard in &self.shards {
            let shard = lock(shard);
            if !shard.is_empty() {
                let due = shard.next_due().unwrap_or(NEVER).saturating_sub(now);
                let due = Duration::from_micros(due);
                rest = Some(due.min(rest.unwrap_or(LONGEST_REST)));
            }
        }
        rest
    }

    /// Does what is due, so many steps of it at most; returns how many it did.
    pub(super) fn expire(&self, now: Micros, quota: usize) -> usize {
        let mut steps = 0;
        for shard in &self.shards {
            loop {
                let mut aftermath = Aftermath::default();
                let part = LOCK_QUOTA.min(quota - steps);
                let done = lock(shard).expire(now, part, &self.budget, &mut aftermath);
                self.settle(aftermath);
                steps += done;
                if steps == quota {
                    return steps;
                }
                if done < part {
                    break;
                }
            }
        }
        steps
    }
}

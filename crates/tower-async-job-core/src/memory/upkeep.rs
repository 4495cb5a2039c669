//! Changes that become due by the passing of time.

use std::{cmp::Reverse, collections::HashMap, time::Duration};

use super::{
    clock::{Micros, NEVER, SECOND},
    jobs::Jobs,
    pace::Pace,
    shard::{Aftermath, Shard},
};
use crate::{
    lease::{Lease, Renewal},
    owner::Principal,
    properties::{PendingJobs, SweepQuery, Upkeep},
    sync::{Mutex, lock},
};

/// The maximum number of changes in one sweep, small enough for leases to be renewed between two
/// sweeps.
const SWEEP_QUOTA: usize = 1 << 15;

/// The longest time between sweeps while there are jobs, even if no change is known to be due: a
/// job may end meanwhile, and be kept for a short time only.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// The interval between two counts of the principals.
const COUNTED_FOR: Micros = 10 * SECOND;

impl Jobs {
    pub(super) async fn renew_all(&self, leases: &[Lease]) -> Vec<Renewal> {
        let mut pace = Pace::default();
        let mut renewals = Vec::with_capacity(leases.len());
        for lease in leases {
            renewals.push(self.renew(lease));
            pace.spend(Pace::STEP).await;
        }
        renewals
    }

    pub(super) async fn sweep(&self, query: &SweepQuery) -> Upkeep {
        let now = self.now();
        let mut upkeep = Upkeep::new(self.shown(now));
        if query.expects(upkeep.now) {
            upkeep.next = self.sweep_due(now).await;
            if upkeep.next != Some(Duration::ZERO) && self.tidy_chunks().await {
                upkeep.next = Some(upkeep.next.unwrap_or(LONGEST_REST));
            }
            upkeep.pending = self.pending().await;
            upkeep.oldest_due = self.oldest_due();
            upkeep.ended = self.ended.take();
            upkeep.lost = std::mem::take(&mut lock(&self.census).lost);
        }
        upkeep
    }

    /// Performs the changes due now, and returns the time until the next, if there are jobs.
    pub(super) async fn sweep_due(&self, now: Micros) -> Option<Duration> {
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

    /// Drops chunks without a job; returns whether there were any chunks.
    async fn tidy_chunks(&self) -> bool {
        let now = self.now();
        let mut pace = Pace::default();
        let mut part = self.chunks.part(None);
        let is_any = !part.is_empty();
        while let Some(last) = part.last().copied() {
            for lease in &part {
                let has_job = {
                    let shard = self.shard(&lease.id);
                    shard
                        .entry(&lease.id)
                        .is_some_and(|entry| entry.has_chunks(lease, now))
                };
                self.chunks.tidy(lease, has_job, now, &self.budget);
                pace.spend(Pace::STEP).await;
            }
            part = self.chunks.part(Some(&last));
        }
        is_any
    }

    async fn pending(&self) -> PendingJobs {
        let now = self.now();
        let mut pending = PendingJobs::default();
        let mut pace = Pace::default();
        for shard in &self.shards {
            pending.total += lock(shard).pending() as u64;
        }
        let is_recent = |counted: Micros| (counted..counted + COUNTED_FOR).contains(&now);
        if pending.total > 0 && !lock(&self.census).counted.is_some_and(is_recent) {
            let principals = self.count_principals(&mut pace).await;
            let mut census = lock(&self.census);
            census.counted = Some(now);
            census.principals = principals;
        }
        if pending.total > 0 {
            pending
                .principals
                .clone_from(&lock(&self.census).principals);
        }
        pending
    }

    /// Returns the time for which the job that has been claimable longest has been so.
    fn oldest_due(&self) -> Option<Duration> {
        let now = self.now();
        let first = |shard: &Mutex<Shard>| {
            let shard = lock(shard);
            shard.oldest_due(now)
        };
        let since = self.shards.iter().filter_map(first).min()?;
        Some(Duration::from_micros(now.saturating_sub(since)))
    }

    async fn count_principals(&self, pace: &mut Pace) -> Vec<(Principal, u64)> {
        let mut counts = HashMap::<Principal, u64>::new();
        for shard in &self.shards {
            let mut end = None;
            loop {
                let looks;
                (looks, end) = count_part(&lock(shard), end, &mut counts);
                pace.spend(Pace::LOCK + looks).await;
                if end.is_none() {
                    break;
                }
            }
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_unstable_by_key(|(_, count)| Reverse(*count));
        counts.truncate(PendingJobs::MAX_PRINCIPALS);
        counts
    }

    /// Performs at most `quota` due changes in a shard; returns their number.
    pub(super) fn expire(&self, shard: &Mutex<Shard>, now: Micros, quota: usize) -> usize {
        let mut aftermath = Aftermath::default();
        let steps = {
            let mut shard = lock(shard);
            let steps = shard.expire(now, quota, &self.budget, &mut aftermath);
            aftermath.claimable = shard.take_claimable();
            steps
        };
        self.settle(aftermath);
        steps
    }
}

/// Counts the pending jobs in a part of a shard; returns the number of looks, and the end of the
/// next part.
fn count_part(
    shard: &Shard,
    end: Option<usize>,
    counts: &mut HashMap<Principal, u64>,
) -> (usize, Option<usize>) {
    if shard.pending() == 0 {
        return (0, None);
    }
    let (part, next) = shard.part(end, Pace::LOCKED_LOOKS);
    let mut looks = 0;
    for entry in part {
        looks += 1;
        let principal = entry.principal.as_ref().filter(|_| entry.is_pending());
        let Some(principal) = principal else {
            continue;
        };
        match counts.get_mut(principal) {
            Some(count) => *count += 1,
            None => drop(counts.insert(principal.clone(), 1)),
        }
    }
    (looks, next)
}

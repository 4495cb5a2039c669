//! The bodies of results that are stored in chunks.

use std::{collections::BTreeMap, ops::Bound};

use bytes::Bytes;

use super::{
    budget::{Budget, Room},
    clock::{Micros, micros},
    pace::Pace,
};
use crate::{
    id::JobId,
    lease::Lease,
    store::CHUNKS_LINGER,
    sync::{Mutex, lock},
};

/// The chunks of all runs.
///
/// Its lock is never held together with that of a shard.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    runs: Mutex<Runs>,
}

/// The runs, by job and epoch.
type Runs = BTreeMap<(JobId, u64), Run>;

#[derive(Debug, Default)]
struct Run {
    chunks: BTreeMap<u32, Bytes>,
    /// The time of the latest read since a sweep has found that no job has these chunks, or of that
    /// sweep.
    orphaned: Option<Micros>,
}

impl Chunks {
    /// Writes a chunk whose room is taken.
    pub(super) fn write(&self, lease: &Lease, index: u32, data: Bytes, budget: &Budget) {
        let mut runs = lock(&self.runs);
        let run = runs.entry(place(lease)).or_default();
        if let Some(replaced) = run.chunks.insert(index, data) {
            budget.settle(Room::of_bytes(replaced.len()), Room::default());
        }
    }

    pub(super) fn read(&self, lease: &Lease, index: u32, now: Micros) -> Option<Bytes> {
        let mut runs = lock(&self.runs);
        let run = runs.get_mut(&place(lease))?;
        if let Some(latest) = &mut run.orphaned {
            *latest = now;
        }
        run.chunks.get(&index).cloned()
    }

    /// Returns some runs with chunks, behind this one.
    pub(super) fn part(&self, behind: Option<&Lease>) -> Vec<Lease> {
        let behind = behind.map_or(Bound::Unbounded, |lease| Bound::Excluded(place(lease)));
        let runs = lock(&self.runs);
        let part = runs
            .range((behind, Bound::Unbounded))
            .take(Pace::LOCKED_STEPS);
        part.map(|((id, epoch), _)| Lease::new(*id, *epoch))
            .collect()
    }

    /// Notes whether a job has these chunks, and drops them when none has had them for
    /// [`CHUNKS_LINGER`].
    pub(super) fn tidy(&self, lease: &Lease, has_job: bool, now: Micros, budget: &Budget) {
        let mut runs = lock(&self.runs);
        let Some(run) = runs.get_mut(&place(lease)) else {
            return;
        };
        if has_job {
            run.orphaned = None;
            return;
        }
        let since = *run.orphaned.get_or_insert(now);
        if since.saturating_add(micros(CHUNKS_LINGER)) <= now {
            discard(&mut runs, lease, budget);
        }
    }

    /// Drops the chunks of a run.
    pub(super) fn discard(&self, lease: &Lease, budget: &Budget) {
        discard(&mut lock(&self.runs), lease, budget);
    }
}

fn place(lease: &Lease) -> (JobId, u64) {
    (lease.id, lease.epoch)
}

fn discard(runs: &mut Runs, lease: &Lease, budget: &Budget) {
    if let Some(run) = runs.remove(&place(lease)) {
        let bytes = run.chunks.values().map(Bytes::len).sum();
        budget.settle(Room::of_bytes(bytes), Room::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_returned_once_each_in_parts_that_are_small() {
        let (chunks, budget) = (Chunks::default(), Budget::new(0, 0, 0));
        let jobs =
            (0..100u128).flat_map(|bits| [1, 2].map(|epoch| (JobId::from_bits(bits), epoch)));
        let leases: Vec<_> = jobs.map(|(id, epoch)| Lease::new(id, epoch)).collect();
        for lease in &leases {
            chunks.write(lease, 0, Bytes::from_static(b"x"), &budget);
        }
        let (mut found, mut part) = (Vec::new(), chunks.part(None));
        while let Some(last) = part.last() {
            assert!(part.len() <= Pace::LOCKED_STEPS);
            let next = chunks.part(Some(last));
            found.append(&mut part);
            part = next;
        }
        assert_eq!(found, leases);
    }
}

//! The bodies of results that are stored in chunks.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    budget::{Budget, Room},
    clock::{Micros, micros},
};
use crate::{
    id::JobIdMap,
    lease::Lease,
    store::CHUNKS_LINGER,
    sync::{Mutex, lock},
};

/// The chunks of all runs, by job and epoch.
///
/// Its lock is never held together with that of a shard.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    runs: Mutex<Runs>,
}

type Runs = JobIdMap<BTreeMap<u64, Run>>;

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
        let run = runs.entry(lease.id).or_default();
        let run = run.entry(lease.epoch).or_default();
        if let Some(replaced) = run.chunks.insert(index, data) {
            budget.settle(Room::of_bytes(replaced.len()), Room::default());
        }
    }

    pub(super) fn read(&self, lease: &Lease, index: u32, now: Micros) -> Option<Bytes> {
        let mut runs = lock(&self.runs);
        let run = runs.get_mut(&lease.id)?.get_mut(&lease.epoch)?;
        if let Some(latest) = &mut run.orphaned {
            *latest = now;
        }
        run.chunks.get(&index).cloned()
    }

    /// Returns all runs with chunks.
    pub(super) fn runs(&self) -> Vec<Lease> {
        let runs = lock(&self.runs);
        let epochs = runs.iter().map(|(id, of_job)| (*id, of_job.keys()));
        epochs
            .flat_map(|(id, epochs)| epochs.map(move |epoch| Lease::new(id, *epoch)))
            .collect()
    }

    /// Notes whether a job has these chunks, and drops them when none has had them for
    /// [`CHUNKS_LINGER`].
    pub(super) fn tidy(&self, lease: &Lease, has_job: bool, now: Micros, budget: &Budget) {
        let mut runs = lock(&self.runs);
        let of_job = runs.get_mut(&lease.id);
        let Some(run) = of_job.and_then(|of_job| of_job.get_mut(&lease.epoch)) else {
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

fn discard(runs: &mut Runs, lease: &Lease, budget: &Budget) {
    let Some(of_job) = runs.get_mut(&lease.id) else {
        return;
    };
    if let Some(run) = of_job.remove(&lease.epoch) {
        let bytes = run.chunks.values().map(Bytes::len).sum();
        budget.settle(Room::of_bytes(bytes), Room::default());
    }
    if of_job.is_empty() {
        runs.remove(&lease.id);
    }
}

//! The replay of a log up to a power cut.

use anyhow::Result;
use fastrand::Rng;

use crate::{
    acknowledged::{self, Acknowledged},
    disk::{Disk, Remains},
    log::{Event, Synced},
    run::Points,
};

/// The disk and the acknowledgements at one moment of a log.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    pub(crate) disk: Disk,
    pub(crate) acknowledged: Acknowledged,
    /// The inode of the file of acknowledgements.
    journal: Option<u64>,
}

impl Replay {
    pub(crate) fn apply(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Create { inode, name } if name == acknowledged::NAME => {
                self.journal = Some(*inode);
            }
            Event::Write { inode, data, .. } if self.journal == Some(*inode) => {
                self.acknowledged.add(data)?;
            }
            _ => {}
        }
        self.disk.apply(event)
    }

    /// Cuts the power, and returns the files that a new process finds.
    pub(crate) fn cut(&self, random: &mut Rng) -> Remains {
        let mut remains = self.disk.cut(random);
        remains.files.remove(acknowledged::NAME);
        for (name, contents) in &mut remains.files {
            // Shared memory is not written to the disk in any order.
            if name.ends_with("-shm") {
                random.fill(contents);
            }
        }
        if random.bool() {
            remains.files.retain(|name, _| !name.ends_with("-shm"));
        }
        remains
    }
}

/// Returns the moments of a log at which the power is cut, as numbers of events before it.
pub(crate) fn moments(events: &[Event], points: Points, seed: u64) -> Vec<usize> {
    let mut rng = Rng::with_seed(seed);
    let random = (0..points.random).map(|_| rng.usize(..=events.len()));
    let mut moments: Vec<usize> = random.collect();
    if points.at_syncs {
        let is_sync = |place: &usize| matches!(events[*place], Event::SyncEnd { .. });
        let syncs = (0..events.len()).filter(is_sync);
        moments.extend(syncs.flat_map(|place| [place, place + 1]));
    }
    moments.sort_unstable();
    moments
}

/// Returns the number of syncs of a log, without those of the folder.
pub(crate) fn syncs(events: &[Event]) -> usize {
    let is_sync = |event: &&Event| {
        matches!(
            event,
            Event::SyncEnd {
                of: Synced::File(_),
                ..
            }
        )
    };
    events.iter().filter(is_sync).count()
}

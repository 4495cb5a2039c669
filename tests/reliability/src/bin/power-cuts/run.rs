//! Power cuts at many moments of one log.

use std::{
    collections::HashSet,
    num::NonZero,
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, sync_channel},
    },
    thread,
};

use anyhow::{Context, Result};
use fastrand::Rng;
use tempfile::TempDir;
use tokio::runtime::{self, Runtime};

use crate::{
    acknowledged::Acknowledged,
    check::{Loss, check, write},
    jobs::Jobs,
    log::Event,
    replay::{Replay, moments, syncs},
};

/// The beginning of the names of folders.
pub(crate) const PREFIX: &str = "power-cuts-";

/// The moments at which the power is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Points {
    /// The number of random ones.
    pub(crate) random: usize,
    /// True if there are others before and after each sync.
    pub(crate) at_syncs: bool,
    /// The only one of them that is checked.
    pub(crate) only: Option<usize>,
}

/// The figures of power cuts.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) points: usize,
    pub(crate) syncs: usize,
    /// The number of jobs whose creation was acknowledged.
    pub(crate) jobs: usize,
    /// The number of all acknowledgements.
    pub(crate) acknowledgements: usize,
    /// The number of writes of which a part was left.
    pub(crate) torn: usize,
    pub(crate) found: Found,
}

/// The losses that were found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The number of points at which the store could not be opened, or its file was damaged.
    pub(crate) damaged: usize,
    /// The number of points at which a job was lost.
    pub(crate) points: usize,
    /// The jobs that were lost at any point.
    pub(crate) lost: HashSet<(u64, u32)>,
    pub(crate) first: Option<Failure>,
}

/// A power cut after which a promise was not kept.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) point: usize,
    /// The number of records of the log before the cut.
    pub(crate) moment: usize,
    pub(crate) losses: Vec<Loss>,
    /// The folder as it was after the cut, except for what the check has changed.
    pub(crate) folder: TempDir,
}

/// A folder to check.
struct Rebuilt {
    point: usize,
    moment: usize,
    acknowledged: Acknowledged,
    folder: TempDir,
}

impl Figures {
    /// Cuts the power at these points of a log.
    pub(crate) fn add(&mut self, events: &[Event], jobs: Jobs, points: Points) -> Result<()> {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let (to_check, rebuilt) = sync_channel(threads);
        let rebuilt = Mutex::new(rebuilt);
        let found = Mutex::new(std::mem::take(&mut self.found));
        thread::scope(|scope| {
            let check = || {
                let runtime = runtime::Builder::new_current_thread().build()?;
                examine(&runtime, &rebuilt, jobs, &found);
                anyhow::Ok(())
            };
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(check)).collect();
            self.rebuild(events, jobs, points, |point| {
                to_check.send(point).context("no thread checks any more")
            })?;
            drop(to_check);
            for thread in threads {
                thread.join().ok().context("a check panicked")??;
            }
            anyhow::Ok(())
        })?;
        self.found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(())
    }

    /// Rebuilds the files at each point.
    fn rebuild(
        &mut self,
        events: &[Event],
        jobs: Jobs,
        points: Points,
        mut send: impl FnMut(Rebuilt) -> Result<()>,
    ) -> Result<()> {
        let mut replay = Replay::default();
        let mut done = 0;
        for (point, moment) in moments(events, points, jobs.seed).into_iter().enumerate() {
            for event in &events[done..moment] {
                replay.apply(event)?;
            }
            done = moment;
            if points.only.is_some_and(|only| only != point) {
                continue;
            }
            let mut seeds = Rng::with_seed(jobs.seed);
            let remains = replay.cut(&mut Rng::with_seed(seeds.u64(..) ^ point as u64));
            self.points += 1;
            self.torn += remains.torn;
            let folder = folder()?;
            write(&remains.files, folder.path())?;
            let acknowledged = replay.acknowledged.clone();
            send(Rebuilt {
                point,
                moment,
                acknowledged,
                folder,
            })?;
        }
        for event in &events[done..] {
            replay.apply(event)?;
        }
        let (created, all) = replay.acknowledged.counts();
        self.jobs += created;
        self.acknowledgements += all;
        self.syncs += syncs(events);
        Ok(())
    }
}

/// Creates a folder in memory if possible, since what is rebuilt needs no disk.
fn folder() -> Result<TempDir> {
    let in_memory = TempDir::with_prefix_in(PREFIX, "/dev/shm");
    Ok(in_memory.or_else(|_| TempDir::with_prefix(PREFIX))?)
}

/// Checks stores until no more are rebuilt.
fn examine(
    runtime: &Runtime,
    rebuilt: &Mutex<Receiver<Rebuilt>>,
    jobs: Jobs,
    found: &Mutex<Found>,
) {
    let next = || {
        let rebuilt = rebuilt.lock().unwrap_or_else(PoisonError::into_inner);
        rebuilt.recv()
    };
    while let Ok(point) = next() {
        let check = check(point.folder.path(), jobs, &point.acknowledged);
        let losses = runtime.block_on(check);
        if !losses.is_empty() {
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.add(jobs, point, losses);
        }
    }
}

impl Found {
    fn add(&mut self, jobs: Jobs, point: Rebuilt, losses: Vec<Loss>) {
        let lost = losses.iter().filter_map(|loss| loss.job);
        self.lost.extend(lost.clone().map(|job| (jobs.seed, job)));
        self.points += usize::from(lost.count() > 0);
        self.damaged += usize::from(losses.iter().any(|loss| loss.job.is_none()));
        self.first.get_or_insert(Failure {
            point: point.point,
            moment: point.moment,
            losses,
            folder: point.folder,
        });
    }
}

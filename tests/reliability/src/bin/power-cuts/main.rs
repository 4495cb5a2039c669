//! Power cuts of a store in SQLite, which killed processes do not show: what a process wrote before
//! it was killed is kept by the operating system, but a disk without power keeps only what was
//! synced, and anything of what was not.
//!
//! A load runs in a process whose writes and syncs are recorded, with its acknowledgements, by a
//! library that is preloaded. At many moments of the record, the files are rebuilt as a disk may
//! hold them after a power cut, and the store is opened on them. All that was acknowledged must be
//! there, and nothing that was never submitted. Then the same is done with stores whose commits do
//! not wait for the disk, and losses must be found, or else the check could not fail.

mod acknowledged;
mod check;
mod disk;
mod jobs;
mod library;
mod load;
mod log;
mod record;
mod replay;
mod run;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Result, bail, ensure};
use clap::Parser;
use tempfile::TempDir;

use self::{
    jobs::Jobs,
    load::Durability,
    record::Load,
    run::{Failure, Figures, PREFIX, Points},
};

/// The exit status if power cuts cannot be tried on this machine.
const NOT_RUN: u8 = 77;

/// The maximum number of random points of one load.
const POINTS_OF_LOAD: usize = 500;

/// The maximum number of losses that a failure describes.
const SHOWN_LOSSES: usize = 10;

/// Cuts the power of stores in SQLite, and checks what is left of their jobs.
#[derive(Debug, Parser)]
struct Arguments {
    /// The number of random moments at which the power is cut; others are before and after each
    /// sync.
    #[arg(long, default_value_t = 1000)]
    points: usize,
    /// The seed of the loads and the cuts; random by default.
    #[arg(long)]
    seed: Option<u64>,
    /// Repeats the cuts of a log that was kept, instead of running loads.
    #[arg(long, requires = "seed")]
    log: Option<PathBuf>,
    /// The only point of the log that is checked.
    #[arg(long, requires = "log")]
    only: Option<usize>,
    /// Runs a load in this folder, as the processes do that are recorded.
    #[arg(long, hide = true, requires = "seed")]
    load: Option<PathBuf>,
    #[arg(long, hide = true, default_value_t = 0)]
    jobs: u32,
    #[arg(long, hide = true, value_enum, default_value_t = Durability::Full)]
    durability: Durability,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(reason) = library::unavailable() {
        eprintln!("{reason}");
        return Ok(ExitCode::from(NOT_RUN));
    }
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    let jobs = Jobs { seed };
    match (&arguments.load, &arguments.log) {
        (Some(folder), _) => {
            let runtime = tokio::runtime::Runtime::new()?;
            let load = load::run(folder, jobs, arguments.jobs, arguments.durability);
            runtime.block_on(load)?;
        }
        (None, Some(log)) => repeat(log, jobs, &arguments)?,
        (None, None) => cut(arguments.points, seed)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Cuts the power in all loads, and prints the figures.
fn cut(points: usize, seed: u64) -> Result<()> {
    println!("seed {seed}\n");
    let mut full = Figures::default();
    let mut left = points;
    for seed in seed.. {
        let points = Points {
            random: left.min(POINTS_OF_LOAD),
            at_syncs: true,
            only: None,
        };
        let folder = record(Durability::Full, points, seed, &mut full)?;
        if let Some(failure) = full.found.first.take() {
            let log = folder.keep().join(record::LOG);
            bail!(report(failure, &log, points.random, seed));
        }
        eprintln!("{} power cuts without a loss", full.points);
        left -= points.random;
        if left == 0 {
            break;
        }
    }
    println!(
        "| commits that wait for the disk | syncs | jobs acknowledged | acknowledgements \
         | power cuts | torn writes | files damaged | cuts with a loss | jobs lost |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    row("all, as by default", &full);
    for (name, durability) in [
        ("none, only checkpoints", Durability::Checkpoints),
        ("none, and no checkpoints", Durability::Nothing),
    ] {
        let mut figures = Figures::default();
        let points = Points {
            random: points.min(POINTS_OF_LOAD).div_ceil(2),
            at_syncs: false,
            only: None,
        };
        record(durability, points, seed, &mut figures)?;
        row(name, &figures);
        let is_found = !figures.found.lost.is_empty();
        ensure!(is_found, "no loss was found where there must be: {name}");
    }
    Ok(())
}

/// Records a load in a folder, which is returned, and cuts the power in it.
fn record(
    durability: Durability,
    points: Points,
    seed: u64,
    figures: &mut Figures,
) -> Result<TempDir> {
    let folder = TempDir::with_prefix(PREFIX)?;
    let jobs = Jobs { seed };
    let load = Load {
        jobs,
        count: u32::try_from(points.random.clamp(48, 400))?,
        durability,
    };
    let log = load.record(folder.path())?;
    figures.add(&log::read(&log)?, jobs, points)?;
    Ok(folder)
}

/// Cuts the power in a log that was kept.
fn repeat(log: &Path, jobs: Jobs, arguments: &Arguments) -> Result<()> {
    let points = Points {
        random: arguments.points,
        at_syncs: true,
        only: arguments.only,
    };
    let mut figures = Figures::default();
    figures.add(&log::read(log)?, jobs, points)?;
    if let Some(failure) = figures.found.first {
        bail!(report(failure, log, points.random, jobs.seed));
    }
    println!("nothing is lost at {} points", figures.points);
    Ok(())
}

/// Describes a failure, whose files are kept.
fn report(failure: Failure, log: &Path, random: usize, seed: u64) -> String {
    let Failure {
        point,
        moment,
        losses,
        folder,
    } = failure;
    let count = losses.len();
    let some = losses.iter().take(SHOWN_LOSSES);
    let losses: Vec<_> = some.map(|loss| format!("\n  {loss}")).collect();
    format!(
        "a power cut after {moment} changes has {count} losses, such as:{}\n\
         The files are kept in `{}`. To repeat it:\n  \
         power-cuts --seed {seed} --points {random} --only {point} --log {}",
        losses.concat(),
        folder.keep().display(),
        log.display(),
    )
}

fn row(name: &str, figures: &Figures) {
    println!(
        "| {name} | {} | {} | {} | {} | {} | {} | {} | {} |",
        figures.syncs,
        figures.jobs,
        figures.acknowledgements,
        figures.points,
        figures.torn,
        figures.found.damaged,
        figures.found.points,
        figures.found.lost.len(),
    );
}

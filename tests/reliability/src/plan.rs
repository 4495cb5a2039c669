//! The choices of a round, and the round that follows from them.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use fastrand::Rng;

use crate::{
    check::Promise,
    file, full,
    round::{Outcome, Round},
    scenario::Scenario,
};

/// The number of faults in a round of the long run.
const FAULTS: usize = 12;

/// The choices of a round, which its seed determines.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) scenarios: Vec<Scenario>,
}

impl Plan {
    /// Returns the plan of the round with this seed. Each fifth round fills the disk.
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let scenarios = match seed % 5 {
            4 => vec![Scenario::Full],
            _ => (0..FAULTS).map(|_| Scenario::random(&mut rng)).collect(),
        };
        Self { seed, scenarios }
    }

    /// Runs the round in an empty directory, which is removed unless a promise was broken, or the
    /// files are to be kept.
    pub(crate) async fn run(
        self,
        directory: PathBuf,
        keep: bool,
        stop: Arc<AtomicBool>,
    ) -> anyhow::Result<Outcome> {
        fs::create_dir_all(&directory)?;
        let was_full = self.scenarios.contains(&Scenario::Full);
        let disk = was_full.then(|| full::Disk::new(&directory)).transpose()?;
        let store = match &disk {
            Some(disk) => disk.path().join("jobs.db"),
            None => directory.join("jobs.db"),
        };
        let mut round = Round::new(self.seed, &store, &directory);
        match &disk {
            Some(disk) => full::run(&mut round, disk).await?,
            None => round.faults(&self.scenarios, &stop).await?,
        }
        round.settle().await;
        round.audit().await;
        if let Err(error) = round.fleet.close().await {
            round.broken(Promise::CleanEnd, error.to_string());
        }
        round.violations.extend(file::check(&store).await?);
        let outcome = round.outcome(was_full);
        if outcome.violations.is_empty() && !keep {
            drop(disk);
            fs::remove_dir_all(&directory)?;
        } else {
            let violations = outcome
                .violations
                .iter()
                .map(|broken| format!("{broken}\n"));
            fs::write(
                directory.join("violations.txt"),
                violations.collect::<String>(),
            )?;
            fs::write(
                directory.join("history.txt"),
                round.fleet.history.to_string(),
            )?;
            if let Some(disk) = disk {
                disk.keep(&directory)?;
            }
        }
        Ok(outcome)
    }
}

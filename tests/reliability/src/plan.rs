//! The choices of a round, and the round that follows from them.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use fastrand::Rng;

use crate::{
    check::Promise,
    full,
    round::{Outcome, Round},
    scenario::Scenario,
    server::Role,
    store::{self, Kind},
};

/// The number of faults in a round of the long run.
const FAULTS: usize = 12;

/// The scenarios that a round has once at most.
const ONCE: [Scenario; 2] = [Scenario::Restore, Scenario::Upgrade];

/// The roles of the processes of a round.
const ROLES: [&[Role]; 3] = [
    &[Role::Both, Role::Both, Role::Both],
    &[Role::Front, Role::Both, Role::Worker],
    &[Role::Front, Role::Front, Role::Worker, Role::Worker],
];

/// The scenarios of the short run, by rounds.
const SHORT: [&[Scenario]; 6] = [
    &[
        Scenario::Poison,
        Scenario::Acceptance,
        Scenario::Finish,
        Scenario::Pause,
        Scenario::Any,
    ],
    &[
        Scenario::Chunks,
        Scenario::StartUp,
        Scenario::Terminate,
        Scenario::TerminateTwice,
        Scenario::Clock,
        Scenario::Everyone,
    ],
    &[Scenario::Full],
    &[Scenario::Upgrade, Scenario::Restore],
    &[
        Scenario::Cut,
        Scenario::HalfOpen,
        Scenario::CutAll,
        Scenario::HalfOpenAll,
        Scenario::Deaf,
    ],
    &[
        Scenario::Crash,
        Scenario::Restart,
        Scenario::Bouncer,
        Scenario::MasterKilled,
        Scenario::Failover,
        Scenario::SlotMoved,
    ],
];

/// The choices of a round, which its seed determines.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    store: Kind,
    pub(crate) seed: u64,
    roles: &'static [Role],
    scenarios: Vec<Scenario>,
}

impl Plan {
    /// Returns the plan of the round with this seed. The first seeds are those of the short run. Of
    /// the others, each fifth round fills the store.
    pub(crate) fn of(store: Kind, seed: u64) -> Self {
        let short = Self::short(store).into_iter();
        if let Some(plan) = short.into_iter().find(|plan| plan.seed == seed) {
            return plan;
        }
        let mut rng = Rng::with_seed(seed);
        let roles = ROLES[rng.usize(0..ROLES.len())];
        let scenarios = match seed % 5 {
            4 if Scenario::Full.is_on(store) => vec![Scenario::Full],
            _ => random(store, &mut rng),
        };
        Self {
            store,
            seed,
            roles,
            scenarios,
        }
    }

    /// Returns rounds that have every scenario of the store once.
    pub(crate) fn short(store: Kind) -> Vec<Self> {
        let plan = |scenarios: &[Scenario], seed| Self {
            store,
            seed,
            roles: ROLES[seed as usize % ROLES.len()],
            scenarios: {
                let tried = scenarios.iter().filter(|scenario| scenario.is_on(store));
                tried.copied().collect()
            },
        };
        let plans = SHORT.iter().zip(1..);
        let plans = plans.map(|(scenarios, seed)| plan(scenarios, seed));
        plans.filter(|plan| !plan.scenarios.is_empty()).collect()
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
        let backend = store::start(self.store, &directory, was_full).await?;
        let mut round = Round::new(self.seed, &backend, self.roles, &directory).await;
        match was_full {
            true => full::run(&mut round).await?,
            false => round.faults(&self.scenarios, &stop).await?,
        }
        round.settle().await;
        round.audit().await;
        if let Err(error) = round.fleet.close().await {
            round.broken(Promise::CleanEnd, error.to_string());
        }
        round.violations.extend(store::check(&backend).await?);
        let outcome = round.outcome(was_full);
        if outcome.violations.is_empty() && !keep {
            drop((round, backend));
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
            backend.keep(&directory)?;
        }
        Ok(outcome)
    }
}

/// Chooses the scenarios of a round. It returns to a backup once at most, and is upgraded once, since
/// its processes are of the next version then.
fn random(store: Kind, rng: &mut Rng) -> Vec<Scenario> {
    let mut scenarios: Vec<_> = (0..FAULTS).map(|_| Scenario::random(store, rng)).collect();
    let mut left = ONCE.to_vec();
    scenarios.retain(|scenario| {
        let place = left.iter().position(|left| left == scenario);
        place.map(|place| left.remove(place)).is_some() || !ONCE.contains(scenario)
    });
    scenarios
}

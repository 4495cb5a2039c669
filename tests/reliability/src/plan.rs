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
    program::Program,
    round::{Outcome, Round},
    scenario::Scenario,
    server::Role,
    store,
    subject::Subject,
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

/// The scenarios of the short run of gateways, by rounds.
const GATEWAYS: [&[Scenario]; 2] = [
    &[Scenario::Acceptance, Scenario::Upstream, Scenario::Both],
    &[Scenario::Finish, Scenario::Everyone, Scenario::Any],
];

/// The choices of a round, which its seed determines.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    subject: Subject,
    pub(crate) seed: u64,
    roles: &'static [Role],
    scenarios: Vec<Scenario>,
}

impl Plan {
    /// Returns the plan of the round with this seed. The first seeds are those of the short run. Of
    /// the others, each fifth round fills the store.
    pub(crate) fn of(subject: Subject, seed: u64) -> Self {
        let short = Self::short(subject).into_iter();
        if let Some(plan) = short.into_iter().find(|plan| plan.seed == seed) {
            return plan;
        }
        let mut rng = Rng::with_seed(seed);
        let roles = ROLES[rng.usize(0..ROLES.len())];
        let scenarios = match seed % 5 {
            4 if Scenario::Full.is_on(subject) => vec![Scenario::Full],
            _ => random(subject, &mut rng),
        };
        Self {
            subject,
            seed,
            roles,
            scenarios,
        }
    }

    /// Returns rounds that have every scenario of the subject once.
    pub(crate) fn short(subject: Subject) -> Vec<Self> {
        let plan = |scenarios: &[Scenario], seed| Self {
            subject,
            seed,
            roles: ROLES[seed as usize % ROLES.len()],
            scenarios: {
                let tried = scenarios.iter().filter(|scenario| scenario.is_on(subject));
                tried.copied().collect()
            },
        };
        let rounds: &[&[Scenario]] = match subject.gateway {
            true => &GATEWAYS,
            false => &SHORT,
        };
        let plans = rounds.iter().zip(1..);
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
        let backend = store::start(self.subject.store, &directory, was_full).await?;
        let programs = match self.subject.gateway {
            true => Program::gateways()?,
            false => self.roles.iter().map(|role| Program::Node(*role)).collect(),
        };
        let mut round = Round::new(self.seed, &backend, &programs, &directory).await;
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
fn random(subject: Subject, rng: &mut Rng) -> Vec<Scenario> {
    let mut scenarios: Vec<_> = (0..FAULTS)
        .map(|_| Scenario::random(subject, rng))
        .collect();
    let mut left = ONCE.to_vec();
    scenarios.retain(|scenario| {
        let place = left.iter().position(|left| left == scenario);
        place.map(|place| left.remove(place)).is_some() || !ONCE.contains(scenario)
    });
    scenarios
}

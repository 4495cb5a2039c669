//! The rounds of a run, and their figures.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use tokio::task::JoinSet;

use crate::{
    args::{Args, Store},
    figures::{Failure, Figures},
    full::Disk,
    plan::Plan,
    process::LEASE,
    round::Outcome,
    scenario::Scenario,
};

/// Runs what the arguments ask for. Returns whether all promises were kept.
pub(crate) async fn run(args: Args) -> anyhow::Result<bool> {
    let Store::Sqlite = args.store;
    let rounds = args.directory.join("rounds");
    fs::create_dir_all(&rounds)?;
    // Of a harness that was killed.
    for left in fs::read_dir(&rounds)? {
        let left = left?.path();
        Disk::forget(&left);
        if !left.join("history.txt").exists() {
            fs::remove_dir_all(left)?;
        }
    }
    let path = args.directory.join("figures.json");
    let plans = match (args.short, args.seed) {
        (true, _) => Some(short()),
        (false, Some(seed)) => Some(vec![Plan::of(seed)]),
        (false, None) => None,
    };
    let first_seed = match &plans {
        Some(plans) => plans[0].seed,
        None => u64::from(fastrand::u32(..)),
    };
    let new = Figures::new("sqlite", LEASE, first_seed);
    let is_long = plans.is_none();
    let mut figures = match is_long {
        true => Figures::read_or(&path, new)?,
        false => new,
    };
    let stop = Arc::new(AtomicBool::new(false));
    tokio::spawn({
        let stop = stop.clone();
        async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                println!("ending the rounds that are under way");
                stop.store(true, Ordering::Relaxed);
            }
        }
    });
    let mut plans = plans.map(Vec::into_iter);
    let mut begun = Instant::now();
    let mut under_way = JoinSet::new();
    let mut is_good = true;
    loop {
        let is_done = figures.sums.kills >= args.kills && is_long;
        while under_way.len() < args.files && !is_done && !stop.load(Ordering::Relaxed) {
            let plan = match &mut plans {
                Some(plans) => plans.next(),
                None => Some(Plan::of(figures.first_seed + figures.rounds_begun)),
            };
            let Some(plan) = plan else { break };
            figures.rounds_begun += 1;
            let directory = rounds.join(plan.seed.to_string());
            under_way.spawn(plan.run(directory, args.keep, stop.clone()));
        }
        let Some(ended) = under_way.join_next().await else {
            break;
        };
        let outcome = ended??;
        let seconds = begun.elapsed().as_secs();
        figures.seconds += seconds;
        begun += std::time::Duration::from_secs(seconds);
        is_good &= outcome.violations.is_empty();
        note(&mut figures, &outcome, &rounds);
        if is_long {
            figures.write(&path)?;
        }
    }
    println!("\n{}", figures.tables());
    Ok(is_good)
}

fn note(figures: &mut Figures, outcome: &Outcome, rounds: &Path) {
    let sums = &outcome.sums;
    figures.sums.add(sums);
    println!(
        "seed {}: {} kills, {} jobs, {} run twice; {} kills so far",
        outcome.seed, sums.kills, sums.jobs, sums.run_twice, figures.sums.kills
    );
    if outcome.violations.is_empty() {
        return;
    }
    for violation in &outcome.violations {
        println!("  {violation}");
    }
    println!(
        "  files: {}; repeat: cargo run --release -p reliability -- --seed {}",
        rounds.join(outcome.seed.to_string()).display(),
        outcome.seed
    );
    let mut promises: Vec<_> = outcome.violations.iter().map(|v| v.promise).collect();
    promises.sort_unstable();
    promises.dedup();
    figures.failures.push(Failure {
        seed: outcome.seed,
        promises,
    });
}

/// Returns rounds that have every scenario once.
fn short() -> Vec<Plan> {
    let plans = [
        vec![
            Scenario::Poison,
            Scenario::Acceptance,
            Scenario::Finish,
            Scenario::Pause,
            Scenario::Any,
        ],
        vec![
            Scenario::Chunks,
            Scenario::StartUp,
            Scenario::Terminate,
            Scenario::TerminateTwice,
            Scenario::Clock,
            Scenario::All,
        ],
        vec![Scenario::Full],
    ];
    let plans = plans.into_iter().zip(1..);
    plans
        .map(|(scenarios, seed)| Plan { seed, scenarios })
        .collect()
}

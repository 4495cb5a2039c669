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
    args::Args,
    figures::{Failure, Figures},
    plan::Plan,
    process::LEASE,
    round::Outcome,
    store::{Disk, begin_newer},
    subject::Subject,
};

/// Runs what the arguments ask for. Returns whether all promises were kept.
pub(crate) async fn run(args: Args) -> anyhow::Result<bool> {
    // At the end of a round, it looks at records of both versions.
    begin_newer();
    let (subject, directory) = (args.subject, args.directory());
    let rounds = directory.join("rounds");
    fs::create_dir_all(&rounds)?;
    // Of a harness that was killed.
    for left in fs::read_dir(&rounds)? {
        let left = left?.path();
        Disk::forget(&left);
        if !left.join("history.txt").exists() {
            fs::remove_dir_all(left)?;
        }
    }
    let path = directory.join("figures.json");
    let plans = match (args.short, args.seed) {
        (true, _) => Some(Plan::short(subject)),
        (false, Some(seed)) => Some(vec![Plan::of(subject, seed)]),
        (false, None) => None,
    };
    let first_seed = match &plans {
        Some(plans) => plans[0].seed,
        // The first ones are those of the short run.
        None => u64::from(fastrand::u32(1000..)),
    };
    let new = Figures::new(&subject.to_string(), LEASE, first_seed);
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
        while under_way.len() < args.at_once && !is_done && !stop.load(Ordering::Relaxed) {
            let plan = match &mut plans {
                Some(plans) => plans.next(),
                None => Some(Plan::of(subject, figures.first_seed + figures.rounds_begun)),
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
        note(&mut figures, &outcome, subject, &rounds);
        if is_long {
            figures.write(&path)?;
        }
    }
    println!("\n{}", figures.tables());
    Ok(is_good)
}

fn note(figures: &mut Figures, outcome: &Outcome, subject: Subject, rounds: &Path) {
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
        "  files: {}; repeat: cargo run --release -p reliability -- {} --seed {}",
        rounds.join(outcome.seed.to_string()).display(),
        subject.arguments(),
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

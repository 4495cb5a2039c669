//! Random histories of concurrent callers.

use crate::{harness::Harness, history, node::*};

/// The number of histories.
const HISTORIES: u64 = 15;

/// The environment variable with the first seed.
const SEED: &str = "TOWER_ASYNC_JOB_TESTKIT_SEED";

pub(crate) async fn random_histories_break_no_promise(harness: &dyn Harness) -> Ran {
    let nodes = [Node::of(harness), Node::second(harness).await?];
    let first = match std::env::var(SEED) {
        Ok(seed) => seed.parse().expect("a seed is a number"),
        Err(_) => fastrand::u64(..1 << 48),
    };
    for seed in first..first + HISTORIES {
        let history = history::record(harness, &nodes, seed).await;
        let checked = history.and_then(|history| history::check(&history));
        if let Err(broken) = checked {
            panic!("{broken}\nagain, though threads may run otherwise: {SEED}={seed}");
        }
    }
    Ok(())
}

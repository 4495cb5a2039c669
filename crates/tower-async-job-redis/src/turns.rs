//! The knowledge of a node about the order of claims.
//!
//! Owners take turns: a claimable job gets the turn after the later of the first one that waits and
//! the latest of its owner. A shard knows only its own jobs, so the node that creates a job adds
//! what it knows of the others.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The time after which the latest turns of owners are learned again from the shards.
const REMEMBERED: Duration = Duration::from_secs(10);

/// The maximum number of routes or owners.
const MOST: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The latest turn that was claimed, by route.
    claimed: HashMap<String, i64>,
    /// The latest turn of each owner.
    owners: HashMap<String, i64>,
    since: Option<Instant>,
}

impl Turns {
    /// Returns the latest claimed turn of a route, and the latest turn of an owner.
    pub(crate) fn of(&self, route: &str, owner: &str) -> (Option<i64>, Option<i64>) {
        let mut known = self.lock();
        if known.since.is_none_or(|since| since.elapsed() > REMEMBERED) {
            known.owners.clear();
            known.since = Some(Instant::now());
        }
        (
            known.claimed.get(route).copied(),
            known.owners.get(owner).copied(),
        )
    }

    /// Notes the turn that a new job was given.
    pub(crate) fn given(&self, owner: String, turn: i64) {
        note(&mut self.lock().owners, owner, turn);
    }

    /// Notes a turn that was claimed.
    pub(crate) fn claimed(&self, route: &str, turn: i64) {
        note(&mut self.lock().claimed, route.to_owned(), turn);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn note(turns: &mut HashMap<String, i64>, name: String, turn: i64) {
    if turns.len() >= MOST && !turns.contains_key(&name) {
        turns.clear();
    }
    let latest = turns.entry(name).or_insert(turn);
    *latest = turn.max(*latest);
}

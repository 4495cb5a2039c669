//! The jobs that this build cannot read, since a newer one has written them.
//!
//! They stay claimable for newer nodes. A claim passes over those that earlier ones have met, so that
//! they keep no other job from being claimed, however many they are.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tower_async_job_core::JobId;

use crate::keys::{SHARDS, shard_of};

/// The time after which a job is tried again.
const REMEMBERED: Duration = Duration::from_secs(10);

/// The maximum number of jobs.
const MOST: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Unread(Mutex<HashMap<JobId, Instant>>);

impl Unread {
    /// Notes a job that cannot be read, if there is one.
    pub(crate) fn note(&self, id: Option<JobId>) {
        let Some(id) = id else { return };
        let mut ids = self.lock();
        if ids.len() < MOST {
            ids.insert(id, Instant::now());
        }
    }

    /// Returns the number of these jobs in the shard that has the most.
    pub(crate) fn most_in_a_shard(&self) -> usize {
        let mut ids = self.lock();
        if ids.is_empty() {
            return 0;
        }
        ids.retain(|_, since| since.elapsed() < REMEMBERED);
        let mut shards = [0; SHARDS];
        for id in ids.keys() {
            shards[shard_of(id)] += 1;
        }
        shards.into_iter().max().unwrap_or(0)
    }

    pub(crate) fn contains(&self, id: &JobId) -> bool {
        self.lock().contains_key(id)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

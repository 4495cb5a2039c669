//! The jobs that wait for a run.

use std::collections::BTreeMap;

use crate::{
    error::StoreError,
    job::{NewJob, Start},
    owner::Principal,
    sync::{Mutex, lock},
};

/// The number of waiting jobs, in total and by principal.
///
/// Its lock is taken within those of shards, and none within it.
#[derive(Debug, Default)]
pub(super) struct Queue(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    all: usize,
    // An ordered map, since a large hash table blocks its thread when it grows.
    own: BTreeMap<Principal, usize>,
}

impl Queue {
    /// Checks that a new job may wait.
    pub(super) fn check(&self, job: &NewJob) -> Result<(), StoreError> {
        lock(&self.0).check(job)
    }

    /// Counts a new job, if it waits and may do so.
    pub(super) fn join(&self, job: &NewJob) -> Result<(), StoreError> {
        if job.start == Start::Running {
            return Ok(());
        }
        let mut waiting = lock(&self.0);
        waiting.check(job)?;
        waiting.enter(job.principal.as_ref());
        Ok(())
    }

    /// Counts the change of a job, regardless of limits.
    pub(super) fn change(&self, principal: Option<&Principal>, before: bool, after: bool) {
        match (before, after) {
            (false, true) => lock(&self.0).enter(principal),
            (true, false) => lock(&self.0).leave(principal),
            _ => {}
        }
    }
}

impl Waiting {
    fn check(&self, job: &NewJob) -> Result<(), StoreError> {
        if job.start == Start::Running {
            return Ok(());
        }
        let own = job.principal.as_ref();
        let own = own.map(|own| self.own.get(own).copied().unwrap_or(0));
        job.queue_limit.check(self.all, own)
    }

    fn enter(&mut self, principal: Option<&Principal>) {
        self.all += 1;
        if let Some(principal) = principal {
            *self.own.entry(principal.clone()).or_default() += 1;
        }
    }

    fn leave(&mut self, principal: Option<&Principal>) {
        self.all -= 1;
        if let Some(principal) = principal
            && let Some(own) = self.own.get_mut(principal)
        {
            *own -= 1;
            if *own == 0 {
                self.own.remove(principal);
            }
        }
    }
}

//! The pace at which jobs come back that had no place to run.
//!
//! A principal over its limit may have thousands of jobs that wait. Each claim of one writes it twice,
//! so they come back one after another: as many as could run if each took the time between two claims.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tower_async_job_core::Principal;

/// The time after which such a job may be claimed again at the earliest.
const FIRST: Duration = Duration::from_secs(1);

/// The number of principals beyond which those without such jobs are forgotten.
const MANY: usize = 1_000;

pub(super) struct Aside {
    /// The time between two claims.
    rest: Duration,
    /// The time between two jobs of one principal.
    step: Duration,
    /// The times at which the latest jobs come back.
    latest: Mutex<HashMap<Option<Principal>, Instant>>,
}

impl Aside {
    /// Creates the pace for principals that may run this many jobs, between claims with this rest.
    pub(super) fn new(limit: usize, rest: Duration) -> Self {
        Self {
            rest,
            step: rest / u32::try_from(limit.max(1)).unwrap_or(u32::MAX),
            latest: Mutex::default(),
        }
    }

    /// Returns the time after which a job of this principal may be claimed again.
    pub(super) fn pause(&self, principal: Option<&Principal>) -> Duration {
        let now = Instant::now();
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.len() >= MANY {
            latest.retain(|_, at| *at > now);
        }
        let at = latest.entry(principal.cloned()).or_insert(now);
        *at = (*at + self.step).max(now + FIRST);
        // Those that come back between the same claims are released together.
        let rests = at.duration_since(now).div_duration_f64(self.rest).ceil();
        self.rest.mul_f64(rests)
    }
}

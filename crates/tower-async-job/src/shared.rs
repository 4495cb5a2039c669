//! What all services of one layer have in common.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tower_async_job_core::JobStore;

use crate::{
    capacity::{Admission, Capacity},
    config::Config,
    registration::Registry,
};

/// As good as never.
const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) store: Arc<dyn JobStore>,
    pub(crate) tasks: TaskTracker,
    capacity: Option<Capacity>,
    /// The jobs that this process runs.
    pub(crate) registry: Registry,
    /// Whether there is a task that keeps house.
    pub(crate) housekeeping: AtomicBool,
}

impl Shared {
    pub(crate) fn new(config: Config, store: Arc<dyn JobStore>) -> Self {
        Self {
            capacity: config.limits.map(Capacity::new),
            config,
            store,
            tasks: TaskTracker::new(),
            registry: Registry::default(),
            housekeeping: AtomicBool::new(false),
        }
    }

    /// Takes a place among the running and queued requests: `Some(None)` where there is no limit,
    /// `None` when all places are taken.
    pub(crate) fn admit(&self) -> Option<Option<Box<Admission>>> {
        match &self.capacity {
            None => Some(None),
            Some(capacity) => capacity.admit().map(Some),
        }
    }
}

/// The time after a duration from now; no duration is too long.
pub(crate) fn later(duration: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(duration)
        .unwrap_or_else(|| now + FAR_FUTURE)
}

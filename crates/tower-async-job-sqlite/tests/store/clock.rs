use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use tower_async_job_core::Clock;

/// A clock that stands still unless moved, with a time of day that can be set apart.
#[derive(Clone)]
pub(crate) struct TestClock {
    start: Instant,
    day: SystemTime,
    /// The seconds that have passed.
    passed: Arc<AtomicI64>,
    /// The seconds by which the time of day was set forward, or back.
    set: Arc<AtomicI64>,
}

impl TestClock {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            day: SystemTime::now(),
            passed: Arc::default(),
            set: Arc::default(),
        }
    }

    /// Returns a clock of another machine, which is set differently.
    pub(crate) fn another(&self, set: i64) -> Self {
        Self {
            set: Arc::new(set.into()),
            ..self.clone()
        }
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.passed.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn set(&self, seconds: i64) {
        self.set.fetch_add(seconds, Ordering::SeqCst);
    }

    fn seconds(&self) -> Duration {
        let passed = self.passed.load(Ordering::SeqCst);
        Duration::from_secs(passed.unsigned_abs())
    }
}

impl Clock for TestClock {
    fn now(&self) -> Instant {
        self.start + self.seconds()
    }

    fn system_time(&self) -> SystemTime {
        let day = self.day + self.seconds();
        let set = self.set.load(Ordering::SeqCst);
        let span = Duration::from_secs(set.unsigned_abs());
        if set < 0 { day - span } else { day + span }
    }
}

//! A clock that tests move.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use tower_async_job_core::Clock;

/// A clock that stands still unless moved. The time of day can also be set back.
#[derive(Clone)]
pub(crate) struct TestClock {
    start: Instant,
    start_of_day: SystemTime,
    /// The microseconds that have passed.
    passed: Arc<AtomicU64>,
    /// The microseconds by which the time of day was set back.
    set_back: Arc<AtomicU64>,
}

impl TestClock {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            start_of_day: SystemTime::now(),
            passed: Arc::default(),
            set_back: Arc::default(),
        }
    }

    pub(crate) fn advance(&self, span: Duration) {
        self.passed
            .fetch_add(span.as_micros() as u64, Ordering::SeqCst);
    }

    pub(crate) fn set_back(&self, span: Duration) {
        self.set_back
            .fetch_add(span.as_micros() as u64, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Instant {
        self.start + Duration::from_micros(self.passed.load(Ordering::SeqCst))
    }

    fn system_time(&self) -> SystemTime {
        self.start_of_day + Duration::from_micros(self.passed.load(Ordering::SeqCst))
            - Duration::from_micros(self.set_back.load(Ordering::SeqCst))
    }
}

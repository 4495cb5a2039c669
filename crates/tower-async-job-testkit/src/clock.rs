use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use tower_async_job_core::Clock;

/// A clock for harnesses, which stands still unless moved. Clones are the same clock.
///
/// ```
/// use std::time::Duration;
/// use tower_async_job_core::Clock;
/// use tower_async_job_testkit::TestClock;
///
/// let clock = TestClock::new();
/// let (now, day) = (clock.now(), clock.system_time());
/// clock.advance(Duration::from_secs(30));
/// clock.set_back(Duration::from_secs(10));
/// assert_eq!(clock.now() - now, Duration::from_secs(30));
/// assert_eq!(clock.system_time(), day + Duration::from_secs(20));
/// ```
#[derive(Clone, Debug)]
pub struct TestClock {
    start: Instant,
    start_of_day: SystemTime,
    /// The microseconds that have passed.
    passed: Arc<AtomicU64>,
    /// The microseconds by which the time of day was set back.
    set_back: Arc<AtomicU64>,
}

impl TestClock {
    /// Creates a clock at the time of the machine.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            start_of_day: SystemTime::now(),
            passed: Arc::default(),
            set_back: Arc::default(),
        }
    }

    /// Moves the clock forward.
    pub fn advance(&self, span: Duration) {
        add(&self.passed, span);
    }

    /// Sets the time of day back, and not the monotonic time.
    pub fn set_back(&self, span: Duration) {
        add(&self.set_back, span);
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TestClock {
    fn now(&self) -> Instant {
        self.start + load(&self.passed)
    }

    fn system_time(&self) -> SystemTime {
        self.start_of_day + load(&self.passed) - load(&self.set_back)
    }
}

fn add(micros: &AtomicU64, span: Duration) {
    micros.fetch_add(span.as_micros() as u64, Ordering::SeqCst);
}

fn load(micros: &AtomicU64) -> Duration {
    Duration::from_micros(micros.load(Ordering::SeqCst))
}

//! Clocks that show another time of day.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use tower_async_job::store::Clock;

/// A clock whose time of day is shifted.
#[derive(Clone, Debug)]
pub(crate) struct ShiftedClock {
    /// The seconds by which the time of day is ahead.
    day: Arc<AtomicI64>,
}

impl ShiftedClock {
    pub(crate) fn ahead(seconds: i64) -> Self {
        let day = Arc::new(AtomicI64::new(seconds));
        Self { day }
    }

    /// Sets the seconds by which the time of day is ahead.
    pub(crate) fn set(&self, seconds: i64) {
        self.day.store(seconds, Ordering::Relaxed);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn system_time(&self) -> SystemTime {
        let seconds = self.day.load(Ordering::Relaxed);
        let shift = Duration::from_secs(seconds.unsigned_abs());
        match seconds < 0 {
            true => SystemTime::now() - shift,
            false => SystemTime::now() + shift,
        }
    }
}

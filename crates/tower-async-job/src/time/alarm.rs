//! An alarm for the next sweep of the store, which may be brought forward.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

/// A time that can be brought forward, and on which a task sleeps.
pub(crate) struct Alarm {
    origin: Instant,
    /// In microseconds from the origin.
    at: AtomicU64,
    nearer: Notify,
}

impl Default for Alarm {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            at: AtomicU64::new(u64::MAX),
            nearer: Notify::new(),
        }
    }
}

impl Alarm {
    /// Clears the time. Call it before computing the next one, so that one set meanwhile is kept.
    pub(crate) fn reset(&self) {
        self.at.store(u64::MAX, Ordering::Release);
    }

    /// Ensures that the task wakes within `time` from now.
    pub(crate) fn within(&self, time: Duration) {
        // Rounded up, so that it is never early.
        let at = self.origin.elapsed().saturating_add(time).as_nanos();
        let at = u64::try_from(at.div_ceil(1_000)).unwrap_or(u64::MAX);
        if self.at.fetch_min(at, Ordering::AcqRel) > at {
            self.nearer.notify_one();
        }
    }

    /// Sleeps until the alarm, and at least until `earliest`.
    pub(crate) async fn sleep(&self, earliest: Instant) {
        loop {
            let at = Duration::from_micros(self.at.load(Ordering::Acquire));
            let at = self.origin.checked_add(at);
            let at = at.map_or(earliest, |at| at.max(earliest));
            if timeout_at(at, self.nearer.notified()).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn alarm_comes_nearer_and_never_recedes() {
        let begun = Instant::now();
        let alarm = Arc::new(Alarm::default());
        alarm.within(60 * SECOND);
        let sleeper = alarm.clone();
        let task = tokio::spawn(async move { sleeper.sleep(Instant::now() + SECOND).await });
        tokio::time::sleep(SECOND / 2).await;
        alarm.within(3 * SECOND);
        alarm.within(9 * SECOND);
        task.await.expect("no panic");
        assert_eq!(begun.elapsed(), 7 * SECOND / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn alarm_keeps_to_the_earliest_time() {
        let begun = Instant::now();
        let alarm = Alarm::default();
        alarm.within(Duration::ZERO);
        alarm.sleep(begun + SECOND).await;
        assert_eq!(begun.elapsed(), SECOND);
    }
}

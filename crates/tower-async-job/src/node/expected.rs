//! The clients that are expected to poll again, for which a shutdown waits.
//!
//! Every pending answer announces the time of the next poll. Until then, and a margin longer, its
//! client is expected, unless it has received the job's end before. A client that never returns is
//! forgotten after the margin, whatever happens to the job.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::Notify, task::yield_now, time::timeout};
use tower_async_job_core::{JobId, JobIdMap};

/// The time that a client has beyond its announced delay: for rounding and jitter, a new
/// connection, and the start of a process.
const MARGIN: Duration = Duration::from_secs(5);

/// The number of maps. A single one would block its thread for long when it grows.
const SHARDS: usize = 64;

/// The size from which a map is searched for clients that never returned.
const FEW: usize = 64;

pub(crate) struct Expected {
    origin: Instant,
    shards: [Mutex<Shard>; SHARDS],
    /// Notified when a shard becomes empty.
    came: Notify,
}

#[derive(Default)]
struct Shard {
    /// The time until which the job's last client is expected, in seconds from the origin.
    until: JobIdMap<u32>,
    /// The size at which overdue clients are dropped.
    searched_at: usize,
}

impl Shard {
    fn forget_late(&mut self, now: u32) {
        self.until.retain(|_, until| *until > now);
        self.searched_at = (2 * self.until.len()).max(FEW);
        self.until.shrink_to(self.searched_at);
    }
}

impl Expected {
    pub(crate) fn new() -> Self {
        Self {
            origin: now(),
            shards: std::array::from_fn(|_| Mutex::default()),
            came: Notify::new(),
        }
    }

    /// Notes that a client has been asked to poll the job again after a delay.
    pub(crate) fn told(&self, id: &JobId, at: Instant, delay: Duration) {
        let wait = u32::try_from((delay.saturating_add(MARGIN)).as_secs()).unwrap_or(u32::MAX);
        let until = self.seconds(at).saturating_add(wait).saturating_add(1);
        let mut shard = self.shard(id);
        if shard.until.len() >= shard.searched_at {
            shard.forget_late(self.seconds(at));
        }
        let known = shard.until.entry(*id).or_default();
        *known = until.max(*known);
    }

    /// Notes that a client has received the end of the job.
    pub(crate) fn came(&self, id: &JobId) {
        let mut shard = self.shard(id);
        if shard.until.remove(id).is_some() && shard.until.is_empty() {
            self.came.notify_one();
        }
    }

    pub(crate) async fn none(&self) {
        while let Some(next) = self.next().await {
            let _ = timeout(next, self.came.notified()).await;
        }
    }

    /// Drops overdue clients. Returns the time until the next expected one is overdue, if there are
    /// any.
    pub(crate) async fn next(&self) -> Option<Duration> {
        let now = self.seconds(now());
        let mut first = None;
        for shard in &self.shards {
            {
                let mut shard = lock(shard);
                shard.forget_late(now);
                first = shard.until.values().copied().chain(first).min();
            }
            // There may be many.
            yield_now().await;
        }
        first.map(|until| Duration::from_secs((until - now).into()))
    }

    pub(crate) fn jobs(&self) -> Vec<JobId> {
        let jobs = |shard| lock(shard).until.keys().copied().collect::<Vec<_>>();
        self.shards.iter().flat_map(jobs).collect()
    }

    fn shard(&self, id: &JobId) -> MutexGuard<'_, Shard> {
        // Other bits than those of the map's hash.
        lock(&self.shards[(id.to_bits() >> 32) as usize % SHARDS])
    }

    /// Returns the time since the origin, rounded up.
    fn seconds(&self, time: Instant) -> u32 {
        let since = time.saturating_duration_since(self.origin);
        let part = u64::from(since.subsec_nanos() > 0);
        u32::try_from(since.as_secs() + part).unwrap_or(u32::MAX)
    }
}

/// Returns the time of tokio's clock, which tests can pause.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn client_is_expected_until_it_comes_or_is_late() {
        let expected = Expected::new();
        let (first, second) = (JobId::random(), JobId::random());
        let begun = tokio::time::Instant::now();
        expected.none().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        expected.told(&first, now(), 20 * SECOND);
        expected.told(&first, now(), SECOND);
        expected.told(&second, now(), 3 * SECOND);
        expected.came(&second);
        expected.none().await;
        let late = 20 * SECOND + MARGIN;
        assert!(begun.elapsed() >= late && begun.elapsed() <= late + SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn clients_that_never_came_are_forgotten() {
        let expected = Expected::new();
        for _ in 0..100 {
            for _ in 0..100 {
                expected.told(&JobId::random(), now(), SECOND);
            }
            tokio::time::sleep(2 * SECOND).await;
        }
        assert!(expected.jobs().len() <= FEW * SHARDS);
    }
}

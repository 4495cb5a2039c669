//! The task that renews the leases of running jobs and has expired records swept.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    time::{Instant, timeout, timeout_at},
};
use tower_async_job_core::Renewal;

use crate::{
    metrics, panics,
    shared::{Shared, later},
};

/// The shortest time for which it sleeps: what is due sooner is done together.
const SHORTEST_REST: Duration = Duration::from_millis(10);

/// How long it sleeps at most while the store holds anything that can expire.
const LONGEST_REST: Duration = Duration::from_secs(60);

impl Shared {
    /// Makes sure that leases are renewed and expired records swept for as long as there are any.
    /// Called whenever a job begins or ends; with nothing to do there is no task and no timer.
    pub(crate) fn keep_house(self: &Arc<Self>) {
        if let Ok(runtime) = Handle::try_current()
            && !self.housekeeping.swap(true, Ordering::AcqRel)
        {
            let keeping = keep_house(Housekeeper(Arc::downgrade(self)));
            runtime.spawn(panics::logged("the job store", Box::pin(keeping)));
        }
    }

    /// One round; returns when the next one is due, unless a job ends that is kept for less.
    async fn housekeeping_round(&self) -> Option<Duration> {
        let longest = match self.store.lease_duration() {
            Some(lease) => (lease / 3).min(LONGEST_REST),
            None => LONGEST_REST,
        };
        let begun = Instant::now();
        self.alarm.reset();
        let renews = self.renew_leases().await;
        let next = match timeout(longest, self.store.sweep()).await {
            Ok(Ok(next)) => next,
            failed => {
                tracing::warn!(?failed, "sweeping the job store failed");
                Some(longest)
            }
        };
        metrics::stored(&*self.store);
        if !renews {
            next?;
        }
        // A job that begins meanwhile finds this task asleep, so it sleeps for no longer than
        // that job's lease can wait.
        let longest = longest.saturating_sub(begun.elapsed());
        Some(next.unwrap_or(longest).min(longest))
    }

    /// Renews the leases of all jobs that run here, and cancels those that are lost or would be
    /// over before the next round. Says whether there are any.
    async fn renew_leases(&self) -> bool {
        let Some(lease_duration) = self.store.lease_duration() else {
            return false;
        };
        let interval = lease_duration / 3;
        let until = later(interval);
        let mut last = None;
        loop {
            let leases = self.registry.leases_after(last);
            let Some(lease) = leases.last() else {
                return last.is_some();
            };
            last = Some(lease.id);
            let asked = Instant::now();
            match timeout_at(until, self.store.renew(&leases)).await {
                Ok(Ok(renewals)) => {
                    for (lease, renewal) in leases.iter().zip(renewals) {
                        if renewal == Renewal::Lost {
                            self.registry.cancel(&lease.id);
                        } else {
                            self.registry.renewed(&lease.id, asked);
                        }
                    }
                }
                failed => {
                    tracing::warn!(?failed, "renewing the leases of running jobs failed");
                    // Another worker may have them before the next round is over.
                    let age = lease_duration.saturating_sub(interval + interval / 2);
                    self.registry.cancel_unrenewed(&leases, age);
                }
            }
        }
    }
}

/// The task that keeps house. However it ends, another may begin.
struct Housekeeper(Weak<Shared>);

impl Drop for Housekeeper {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.housekeeping.store(false, Ordering::Release);
        }
    }
}

async fn keep_house(mut keeper: Housekeeper) {
    loop {
        let Some(shared) = keeper.0.upgrade() else {
            return;
        };
        let next = match shared.housekeeping_round().await {
            Some(next) => next,
            None => {
                shared.housekeeping.store(false, Ordering::Release);
                // A job that began after the round saw the flag still set, so look again.
                match shared.housekeeping_round().await {
                    Some(next) if !shared.housekeeping.swap(true, Ordering::AcqRel) => next,
                    _ => {
                        // The flag may be another task's by now.
                        keeper.0 = Weak::new();
                        return;
                    }
                }
            }
        };
        let alarm = shared.alarm.clone();
        drop(shared);
        alarm.within(next);
        alarm.sleep(Instant::now() + SHORTEST_REST).await;
    }
}

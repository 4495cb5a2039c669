//! The subscriptions of a node.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::sleep;
use tokio_postgres::types::Type;
use tower_async_job_core::{JobId, StoreError, Subscription, Waiters};

use crate::{
    database::{Database, Retry},
    job::{Id, event_hash, ids},
};

/// The hash by which subscriptions to claimable work are kept among those to jobs.
pub(crate) const WORK: u64 = 0;

/// The pause between two checks of all that is watched, whatever was notified. It is the same however
/// long a check takes, or the first one after an outage would be late.
const FALLBACK: Duration = Duration::from_secs(1);

/// Subscriptions by the hashes of their jobs, since notifications have only those.
#[derive(Default)]
pub(super) struct Watches {
    /// The subscriptions. Instead of its id, a job has its hash here.
    waiters: Waiters,
    /// The ids of watched jobs, and of some that are no longer watched.
    ids: Mutex<HashMap<u64, JobId>>,
}

fn key(hash: u64) -> JobId {
    JobId::from_bits(hash.into())
}

impl Watches {
    pub(super) fn subscribe(&self, id: &JobId) -> Subscription {
        let hash = match id.to_bits() {
            0 => WORK,
            _ => event_hash(id),
        };
        // Locked over both, so that the id is not forgotten in between.
        let mut ids = self.lock();
        ids.insert(hash, *id);
        self.waiters.subscribe(&key(hash))
    }

    pub(super) fn notify(&self, hash: u64) {
        self.waiters.notify(&key(hash));
    }

    pub(super) fn notify_all(&self) {
        self.waiters.notify_all();
    }

    /// Returns the ids of watched jobs, and forgets the others.
    fn watched(&self) -> (Vec<JobId>, bool) {
        let mut ids = self.lock();
        let watched = self.waiters.watched();
        let watched: HashMap<_, _> = watched
            .into_iter()
            .map(|key| key.to_bits() as u64)
            .filter_map(|hash| ids.get(&hash).map(|id| (hash, *id)))
            .collect();
        ids.clone_from(&watched);
        let has_work = watched.contains_key(&WORK);
        let jobs = watched.into_iter().filter(|(hash, _)| *hash != WORK);
        (jobs.map(|(_, id)| id).collect(), has_work)
    }

    /// Checks repeatedly which watched jobs have ended, and whether there is work.
    pub(super) async fn recheck(&self, database: &Database) {
        let pause = || sleep(FALLBACK);
        let check = |_: Vec<JobId>| self.ended(database);
        match self.waiters.recheck(pause, check).await {}
    }

    /// Returns the keys of watched jobs that have ended.
    async fn ended(&self, database: &Database) -> Result<Vec<JobId>, StoreError> {
        let (jobs, wants_work) = self.watched();
        let mut ended = Vec::new();
        if !jobs.is_empty() {
            let jobs = ids(jobs);
            let parameters = [(&jobs as _, Type::UUID_ARRAY)];
            let rows = database
                .call("ended_jobs", &parameters, Retry::Always)
                .await?;
            for row in rows {
                let id: Id = row.try_get(0).map_err(StoreError::corrupt)?;
                ended.push(key(event_hash(&id.0)));
            }
        }
        if wants_work {
            let row = database.call_one("has_work", &[], Retry::Always).await?;
            if row.try_get(0).map_err(StoreError::corrupt)? {
                ended.push(key(WORK));
            }
        }
        Ok(ended)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, JobId>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

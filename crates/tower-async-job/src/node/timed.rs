//! The time limit of calls to stores that are shared or have leases.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::timeout;
use tower_async_job_core::{
    Call, Created, Detail, Interpose, Interposed, JobId, JobRecord, JobStore, NewJob, StoreError,
    StoreFuture, StoreProperties,
};

/// The time limit of a call.
const CALL: Duration = Duration::from_secs(5);

/// Limits the time of calls to a store, unless only this process uses it.
pub(super) fn bounded(store: Arc<dyn JobStore>) -> Arc<dyn JobStore> {
    if outlives_process(store.properties()) {
        return Arc::new(Interposed::new(Timed { store }));
    }
    store
}

/// Returns whether other processes, later ones included, may use a store.
pub(super) fn outlives_process(properties: &StoreProperties) -> bool {
    properties.lease.is_some() || properties.shared
}

/// A store whose calls fail as unavailable after the time limit.
struct Timed {
    store: Arc<dyn JobStore>,
}

impl fmt::Debug for Timed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

impl Interpose for Timed {
    fn inner(&self) -> &dyn JobStore {
        &*self.store
    }

    fn around<'a, T: Send + 'a>(
        &'a self,
        _: Call,
        answer: StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move {
            let ended = timeout(CALL, answer).await;
            ended.unwrap_or_else(|late| Err(StoreError::unavailable(late)))
        })
    }

    fn create_now(&self, job: NewJob) -> Result<Result<Created, StoreError>, NewJob> {
        self.store.create_now(job)
    }

    fn read_now(
        &self,
        id: &JobId,
        detail: Detail,
    ) -> Option<Result<Option<JobRecord>, StoreError>> {
        self.store.read_now(id, detail)
    }
}

#[cfg(test)]
mod tests {
    use tower_async_job_core::MemoryStore;

    use super::*;

    #[test]
    fn a_store_of_this_process_alone_is_called_directly() {
        let store: Arc<dyn JobStore> = Arc::new(MemoryStore::new());
        assert!(Arc::ptr_eq(&bounded(store.clone()), &store));
        let leasing = MemoryStore::builder().lease_duration(Duration::from_secs(30));
        let store: Arc<dyn JobStore> = Arc::new(leasing.build());
        assert!(!Arc::ptr_eq(&bounded(store.clone()), &store));
    }
}

//! The time limit of calls to stores that are shared or have leases, and their results.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};
use tower_async_job_core::{
    Call, Created, Detail, Interpose, Interposed, JobId, JobRecord, JobStore, NewJob, StoreError,
    StoreFuture, StoreProperties,
};

use crate::{node::health::Health, observe::metrics::Meter};

/// The time limit of a call.
const CALL: Duration = Duration::from_secs(5);

/// Limits and records the calls to a store, unless only this process uses it.
pub(super) fn bounded(
    store: Arc<dyn JobStore>,
    health: &Arc<Health>,
    meter: &Meter,
) -> Arc<dyn JobStore> {
    if outlives_process(store.properties()) {
        return Arc::new(Interposed::new(Timed {
            store,
            health: health.clone(),
            meter: meter.clone(),
        }));
    }
    store
}

/// Returns whether other processes, later ones included, may use a store.
pub(super) fn outlives_process(properties: &StoreProperties) -> bool {
    properties.lease.is_some() || properties.shared
}

/// Notes the end of a call to such a store.
pub(super) fn note(
    health: &Health,
    meter: &Meter,
    call: Call,
    began: Instant,
    error: Option<&StoreError>,
) {
    if let Some(is_up) = health.note(began, error) {
        meter.is_up(is_up);
    }
    meter.called(call, began.elapsed(), error);
}

/// A store whose calls fail as unavailable after the time limit.
struct Timed {
    store: Arc<dyn JobStore>,
    health: Arc<Health>,
    meter: Meter,
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
        call: Call,
        answer: StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move {
            let began = Instant::now();
            let ended = timeout(CALL, answer).await;
            let ended = ended.unwrap_or_else(|_| {
                let text = format!("it did not answer within {CALL:?}");
                Err(StoreError::unavailable(text))
            });
            let error = ended.as_ref().err();
            note(&self.health, &self.meter, call, began, error);
            ended
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
    use std::{error::Error, future::pending};

    use tower_async_job_core::MemoryStore;

    use super::*;

    /// A store that never answers.
    #[derive(Debug)]
    struct Hung(MemoryStore);

    impl Interpose for Hung {
        fn inner(&self) -> &dyn JobStore {
            &self.0
        }

        fn around<'a, T: Send + 'a>(
            &'a self,
            _: Call,
            _: StoreFuture<'a, T>,
        ) -> StoreFuture<'a, T> {
            Box::pin(pending())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn store_that_never_answers_is_unavailable_with_the_time_as_its_reason() {
        let store = Interposed::new(Timed {
            store: Arc::new(Interposed::new(Hung(MemoryStore::new()))),
            health: Arc::new(Health::new(true)),
            meter: Meter::new(None, "memory"),
        });
        let error = store.read(&JobId::random(), Detail::Status).await;
        let error = error.expect_err("it is never answered");
        assert!(error.is_unavailable(), "{error}");
        let reason = error.source().expect("a reason").to_string();
        assert_eq!(reason, "it did not answer within 5s");
    }

    #[test]
    fn a_store_of_this_process_alone_is_called_directly() {
        let (health, meter) = (Arc::new(Health::new(true)), Meter::new(None, "memory"));
        let bounded = |store: &Arc<dyn JobStore>| bounded(store.clone(), &health, &meter);
        let store: Arc<dyn JobStore> = Arc::new(MemoryStore::new());
        assert!(Arc::ptr_eq(&bounded(&store), &store));
        let leasing = MemoryStore::builder().lease_duration(Duration::from_secs(30));
        let store: Arc<dyn JobStore> = Arc::new(leasing.build());
        assert!(!Arc::ptr_eq(&bounded(&store), &store));
    }
}

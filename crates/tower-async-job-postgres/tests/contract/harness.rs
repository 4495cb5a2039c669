//! The harness of the store, and its parts.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tower_async_job_core::{JobId, JobStore};
use tower_async_job_postgres::{PostgresStore, PostgresStoreBuilder};
use tower_async_job_testkit::{Harness, Hook};

use crate::support::Place;

/// The size of the chunks of the stores.
const CHUNK: usize = 1000;

/// The store as tests see it.
pub(crate) type Wrap = fn(Arc<PostgresStore>) -> Arc<dyn JobStore>;

/// The harness of a store in a schema of its own, whose clock stands still unless it is moved.
pub(crate) struct PostgresHarness {
    wrap: Wrap,
    place: Place,
    store: Arc<PostgresStore>,
    handles: Mutex<Vec<Arc<PostgresStore>>>,
}

impl PostgresHarness {
    pub(crate) async fn new(place: Place, wrap: Wrap) -> Self {
        let migrations = builder(&place).migrations();
        for migration in migrations {
            place.execute(migration.sql()).await;
        }
        let clock = "CREATE TABLE clock AS SELECT job_now() AS moment; \
                     CREATE OR REPLACE FUNCTION job_now() RETURNS bigint LANGUAGE sql VOLATILE \
                     AS $$ SELECT moment FROM ";
        let clock = format!("{clock}{}.clock $$", place.schema);
        place.execute(&clock).await;
        let store = Arc::new(builder(&place).connect().await.unwrap());
        Self {
            wrap,
            place,
            handles: Mutex::new(vec![Arc::clone(&store)]),
            store,
        }
    }

    async fn open(&self) -> Arc<dyn JobStore> {
        let store = Arc::new(builder(&self.place).connect().await.unwrap());
        self.handles.lock().unwrap().push(Arc::clone(&store));
        (self.wrap)(store)
    }

    async fn advance(&self, micros: i64) {
        let handles = self.handles.lock().unwrap().clone();
        for store in handles {
            store.settle().await;
        }
        let sql = format!("UPDATE clock SET moment = moment + ({micros})");
        self.place.execute(&sql).await;
    }

    /// Changes the row of a job behind the store's back.
    async fn tamper(&self, id: JobId, change: &str) {
        let id = id.encode();
        let sql = format!("UPDATE jobs SET {change} WHERE id = '{id}' RETURNING 1");
        let answer = self.place.execute(&sql).await;
        // The description of the row, the row and the end.
        assert_eq!(answer.len(), 3);
    }
}

fn builder(place: &Place) -> PostgresStoreBuilder {
    place
        .builder()
        .chunk_size(CHUNK)
        .operation_timeout(Duration::from_secs(30))
}

impl Harness for PostgresHarness {
    fn store(&self) -> Arc<dyn JobStore> {
        (self.wrap)(Arc::clone(&self.store))
    }

    fn second(&self) -> Hook<'_, Arc<dyn JobStore>> {
        Box::pin(async { Ok(self.open().await) })
    }

    fn advance(&self, span: Duration) -> Hook<'_, ()> {
        Box::pin(async move {
            self.advance(span.as_micros() as i64).await;
            Ok(())
        })
    }

    fn jump_back(&self, span: Duration) -> Hook<'_, ()> {
        Box::pin(async move {
            self.advance(-(span.as_micros() as i64)).await;
            Ok(())
        })
    }

    fn crash(&self) -> Hook<'_, Arc<dyn JobStore>> {
        // The connections of a process that is killed are closed in the middle of statements.
        Box::pin(async {
            let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                        WHERE application_name = ";
            let name = self.place.application();
            self.place.execute(&format!("{kill}'{name}'")).await;
            Ok(self.open().await)
        })
    }

    fn corrupt(&self, id: JobId) -> Hook<'_, ()> {
        Box::pin(async move {
            self.tamper(id, "protocol = 77").await;
            Ok(())
        })
    }

    fn give_newer_format(&self, id: JobId) -> Hook<'_, ()> {
        Box::pin(async move {
            self.tamper(id, "format = format + 1").await;
            Ok(())
        })
    }

    fn lose_notifications(&self) -> Hook<'_, ()> {
        Box::pin(async {
            for store in &*self.handles.lock().unwrap() {
                store.lose_notifications();
            }
            Ok(())
        })
    }
}

//! A store whose statements are counted.

use std::{sync::Arc, time::Duration};

use test_nodes::{Cost, Counted};
use tokio::{runtime::Handle, task::block_in_place};
use tokio_postgres::Client;
use tower_async_job_core::JobStore;
use tower_async_job_postgres::PostgresStore;

use crate::support::{Place, hears};

/// Statements that belong to no exchange.
const BACKGROUND: [&str; 3] = ["ended_jobs", "has_work", "notify"];

pub(crate) struct CountedStore {
    store: Arc<PostgresStore>,
    /// A connection of its own, which holds reads by a lock on a table that only they need.
    holder: Client,
}

impl CountedStore {
    pub(crate) async fn open(place: &Place) -> Self {
        let store = place
            .builder()
            .operation_timeout(Duration::from_secs(120))
            .connect()
            .await
            .unwrap();
        hears(&store).await;
        Self {
            store: Arc::new(store),
            holder: place.client().await,
        }
    }
}

impl Counted for CountedStore {
    fn store(&self) -> Arc<dyn JobStore> {
        self.store.clone()
    }

    fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        for (function, count) in self.store.statements() {
            match function {
                "read_jobs" => cost.reads += count,
                function if BACKGROUND.contains(&function) => {}
                _ => cost.commits += count,
            }
        }
        cost
    }

    fn hold_reads(&self, is_held: bool) {
        let sql = match is_held {
            true => "BEGIN; LOCK TABLE reports",
            false => "COMMIT",
        };
        let done = self.holder.batch_execute(sql);
        block_in_place(|| Handle::current().block_on(done)).unwrap();
    }
}

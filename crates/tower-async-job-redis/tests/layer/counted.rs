//! A store whose round trips are counted.

use std::{sync::Arc, time::Duration};

use test_nodes::{Cost, Counted};
use tower_async_job_core::JobStore;
use tower_async_job_redis::{RedisStore, RedisStoreBuilder};

/// Round trips that change nothing.
const READS: [&str; 3] = ["read", "ready", "waiting"];

/// Round trips that belong to no exchange.
const BACKGROUND: [&str; 2] = ["pending", "work"];

pub(crate) struct CountedStore(Arc<RedisStore>);

impl CountedStore {
    pub(crate) async fn open(builder: RedisStoreBuilder) -> Self {
        let builder = builder.operation_timeout(Duration::from_secs(120));
        Self(Arc::new(builder.connect().await.unwrap()))
    }
}

impl Counted for CountedStore {
    fn store(&self) -> Arc<dyn JobStore> {
        self.0.clone()
    }

    fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        for (name, count) in self.0.round_trips() {
            match name {
                name if READS.contains(&name) => cost.reads += count,
                name if BACKGROUND.contains(&name) => {}
                _ => cost.commits += count,
            }
        }
        cost
    }

    fn hold_reads(&self, is_held: bool) {
        self.0.hold_reads(is_held);
    }
}

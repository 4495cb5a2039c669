//! The store in PostgreSQL, and its peer.

mod raw;

use std::sync::Arc;

use test_services::Postgres;
use tower_async_job::store::JobStore;
use tower_async_job_postgres::PostgresStore;

use crate::{
    Outcome,
    place::{Peer, Pending, Place},
};

/// A schema of a server, whose data is in memory.
pub(crate) struct Schema(Postgres);

const NAME: &str = "tower_async_job";

impl Schema {
    pub(crate) fn start() -> Outcome<Self> {
        Ok(Self(
            Postgres::start().map_err(|missing| missing.to_string())?,
        ))
    }
}

impl Place for Schema {
    fn empty(&mut self) -> Outcome<()> {
        self.0
            .query(&format!("DROP SCHEMA IF EXISTS {NAME} CASCADE"));
        // Otherwise it may begin within a turn.
        self.0.query("CHECKPOINT");
        Ok(())
    }

    fn store(&self) -> Pending<'_, Outcome<Arc<dyn JobStore>>> {
        Box::pin(async { Ok(Arc::new(PostgresStore::connect(&self.0.url()).await?) as _) })
    }

    fn peer(&self) -> Pending<'_, Outcome<Arc<dyn Peer>>> {
        Box::pin(async { Ok(Arc::new(raw::Raw::connect(&self.0.url()).await?) as _) })
    }

    fn bytes(&self) -> Outcome<u64> {
        let sql = format!(
            "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = '{NAME}' AND c.relkind = 'r'"
        );
        Ok(self.0.query(&sql).trim().parse()?)
    }

    fn goal(&self) -> f64 {
        0.9
    }
}

//! The choice of a store.

use std::{sync::Arc, time::Duration};

use anyhow::bail;
use tower_async_job_core::JobStore;
use tower_async_job_postgres::PostgresStore;
use tower_async_job_redis::RedisStore;
use tower_async_job_sqlite::SqliteStore;

/// Opens the store at an address: `sqlite:FILE`, `postgres://…`, `redis://…`, or `rediss://…` with TLS.
///
/// # Errors
///
/// Fails if the store cannot be opened, or the address is of another kind.
pub async fn open(address: &str, lease: Duration) -> anyhow::Result<Arc<dyn JobStore>> {
    let (kind, rest) = address.split_once(':').unwrap_or((address, ""));
    Ok(match kind {
        "sqlite" => {
            let builder = SqliteStore::builder().lease_duration(lease);
            Arc::new(builder.open(rest).await?)
        }
        "postgres" | "postgresql" => {
            let builder = PostgresStore::builder(address).lease_duration(lease);
            Arc::new(builder.connect().await?)
        }
        "redis" | "rediss" => {
            let builder = RedisStore::builder([address]).lease_duration(lease);
            Arc::new(builder.connect().await?)
        }
        // Not the whole address, which may contain a password.
        _ => bail!("a store is sqlite:FILE, postgres://… or redis://…, not {kind}:…"),
    })
}

//! The place where jobs are kept.

#[cfg(feature = "sqlite")]
mod sqlite;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use tower_async_job::store::{JobStore, MemoryStore};

use crate::config::Store;

/// Opens a store of at most this number of bytes, if it has no limits of its own, whose jobs others take
/// over once a process was dead for the time of a lease.
///
/// # Errors
///
/// Fails if it cannot be reached, or if this build has no store of its kind.
pub(crate) async fn open(
    store: &Store,
    lease: Duration,
    max_bytes: Option<usize>,
) -> anyhow::Result<Arc<dyn JobStore>> {
    match store {
        Store::Memory => {
            let builder = MemoryStore::builder().max_bytes(max_bytes.unwrap_or(usize::MAX));
            Ok(Arc::new(builder.build()) as Arc<dyn JobStore>)
        }
        Store::Sqlite(file) => sqlite::open(file, lease, max_bytes).await,
        Store::Postgres(url) => postgres::open(url.expose(), lease).await,
        Store::Redis(url) => redis::open(url.expose(), lease).await,
    }
    .context("the store cannot be opened")
}

#[cfg(feature = "postgres")]
mod postgres {
    use std::{sync::Arc, time::Duration};

    use tower_async_job::store::JobStore;
    use tower_async_job_postgres::PostgresStore;

    pub(super) async fn open(url: &str, lease: Duration) -> anyhow::Result<Arc<dyn JobStore>> {
        let store = PostgresStore::builder(url).lease_duration(lease);
        Ok(Arc::new(store.connect().await?))
    }
}

#[cfg(feature = "redis")]
mod redis {
    use std::{sync::Arc, time::Duration};

    use tower_async_job::store::JobStore;
    use tower_async_job_redis::RedisStore;

    pub(super) async fn open(url: &str, lease: Duration) -> anyhow::Result<Arc<dyn JobStore>> {
        let store = RedisStore::builder([url]).lease_duration(lease);
        Ok(Arc::new(store.connect().await?))
    }
}

/// Defines a store that this build lacks.
macro_rules! missing {
    ($feature:literal, $module:ident, $place:ty $(, $limit:ty)?) => {
        #[cfg(not(feature = $feature))]
        mod $module {
            use std::{sync::Arc, time::Duration};

            use tower_async_job::store::JobStore;

            pub(super) async fn open(
                _: &$place,
                _: Duration
                $(, _: $limit)?
            ) -> anyhow::Result<Arc<dyn JobStore>> {
                anyhow::bail!(concat!(
                    "this build of job-gateway has no store of this kind: build it with \
                     `--features ",
                    $feature,
                    "`"
                ))
            }
        }
    };
}

missing!("sqlite", sqlite, std::path::Path, Option<usize>);
missing!("postgres", postgres, str);
missing!("redis", redis, str);

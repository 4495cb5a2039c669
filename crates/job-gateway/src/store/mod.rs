//! The place where jobs are kept.

#[cfg(feature = "sqlite")]
mod sqlite;

use std::sync::Arc;

use anyhow::Context;
use tower_async_job::store::{JobStore, MemoryStore};

use crate::config::Store;

/// Opens a store.
///
/// # Errors
///
/// Fails if it cannot be reached, or if this build has no store of its kind.
pub(crate) async fn open(store: &Store) -> anyhow::Result<Arc<dyn JobStore>> {
    match store {
        Store::Memory => Ok(Arc::new(MemoryStore::new()) as Arc<dyn JobStore>),
        Store::Sqlite(file) => sqlite::open(file).await,
        Store::Postgres(url) => postgres::open(url.expose()).await,
        Store::Redis(url) => redis::open(url.expose()).await,
    }
    .context("the store cannot be opened")
}

#[cfg(feature = "postgres")]
mod postgres {
    use std::sync::Arc;

    use tower_async_job::store::JobStore;
    use tower_async_job_postgres::PostgresStore;

    pub(super) async fn open(url: &str) -> anyhow::Result<Arc<dyn JobStore>> {
        Ok(Arc::new(PostgresStore::connect(url).await?))
    }
}

#[cfg(feature = "redis")]
mod redis {
    use std::sync::Arc;

    use tower_async_job::store::JobStore;
    use tower_async_job_redis::RedisStore;

    pub(super) async fn open(url: &str) -> anyhow::Result<Arc<dyn JobStore>> {
        Ok(Arc::new(RedisStore::connect(url).await?))
    }
}

/// Defines a store that this build lacks.
macro_rules! missing {
    ($feature:literal, $module:ident, $place:ty) => {
        #[cfg(not(feature = $feature))]
        mod $module {
            use std::sync::Arc;

            use tower_async_job::store::JobStore;

            pub(super) async fn open(_: &$place) -> anyhow::Result<Arc<dyn JobStore>> {
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

missing!("sqlite", sqlite, std::path::Path);
missing!("postgres", postgres, str);
missing!("redis", redis, str);

//! The store beyond the contract: settings of servers, restarts, lost scripts, full memory.

mod checks;
mod clocks;
mod cluster;
mod documented;
mod encrypted;
mod events;
mod failover;
mod leftovers;
mod losses;
mod servers;
mod trips;

use std::sync::OnceLock;

use test_services::{Missing, Redis, available};
use tower_async_job_core::{JobId, JobStore, Lease, NewJob, ReplayedRequest, StoredRequest};
use tower_async_job_redis::{RedisStore, RedisStoreBuilder};

/// Returns a builder of stores on this server.
fn builder(server: &Redis) -> RedisStoreBuilder {
    RedisStore::builder([server.url()])
}

/// Starts a server of the test's own; `None` if there is none.
fn own() -> Option<Redis> {
    available(Redis::start())
}

/// Returns the server that tests share; each has a prefix of its own.
fn shared() -> Option<&'static Redis> {
    static SHARED: OnceLock<Result<Redis, Missing>> = OnceLock::new();
    available(
        SHARED
            .get_or_init(Redis::start)
            .as_ref()
            .map_err(Clone::clone),
    )
}

fn job(store: &RedisStore) -> NewJob {
    NewJob::new(store.new_id(None, None))
}

fn replayable(store: &RedisStore) -> NewJob {
    job(store).with_request(StoredRequest::encode(&ReplayedRequest::default()))
}

async fn add(store: &RedisStore, job: NewJob) -> Lease {
    let lease = job.first_lease();
    store.create(job).await.unwrap();
    lease
}

async fn is_known(store: &RedisStore, id: &JobId) -> bool {
    let read = store.read(id, tower_async_job_core::Detail::Full).await;
    read.unwrap().is_some()
}

//! The contract of job stores.

#[path = "../common/mod.rs"]
mod common;

use common::SqliteHarness;

tower_async_job_testkit::contract!(SqliteHarness::new().await);

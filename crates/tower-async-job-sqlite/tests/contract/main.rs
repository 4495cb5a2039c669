//! The contract of job stores.

mod harness;

use harness::SqliteHarness;

tower_async_job_testkit::contract!(SqliteHarness::new().await);

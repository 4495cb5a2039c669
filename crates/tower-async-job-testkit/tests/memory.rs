//! The store in memory keeps the contract.

use tower_async_job_testkit::{MemoryHarness, contract};

contract!(MemoryHarness::new());

//! The in-memory store: the contract, and its further promises.

mod common;
mod creating;
mod keeping;
mod owners;
mod reading;
mod room;
mod scale;
mod waiting;

use tower_async_job_testkit::{MemoryHarness, contract};

contract!(MemoryHarness::new());

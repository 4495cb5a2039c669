//! The faults of servers and intermediaries, and the behaviour of the client.

#[path = "../common/mod.rs"]
mod common;

mod accepted;
mod bodies;
mod endings;
mod locations;
mod origins;
mod pacing;
mod panics;
mod regressions;
mod resubmission;
mod retries;
mod unrelated;

//! What a server, or somebody in its place, may do to a client, and what
//! comes of it.

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

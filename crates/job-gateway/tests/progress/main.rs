//! Servers report progress, learn that jobs are cancelled, and deliver results later.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod cancelling;
mod events;
mod later;
mod party;
mod programs;
mod reports;
mod worker;

//! Servers report progress, and learn that jobs are cancelled.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod cancelling;
mod programs;
mod reports;
mod worker;

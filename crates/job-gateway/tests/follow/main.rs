//! Servers that answer with jobs of their own, which the gateway polls.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod chains;
mod jobs;
mod outages;
mod polling;
mod restarts;
mod server;
mod uploads;

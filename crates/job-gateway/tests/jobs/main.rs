//! Slow requests become jobs.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod again;
mod deploys;
mod first;

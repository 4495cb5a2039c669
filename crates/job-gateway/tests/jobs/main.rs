//! Slow requests become jobs.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod again;
mod broken;
#[cfg(feature = "jwt")]
mod credentials;
mod deploys;
mod first;
mod own;
mod strangers;

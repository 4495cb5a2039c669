//! Slow requests become jobs.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod again;
#[cfg(feature = "jwt")]
mod credentials;
mod broken;
mod deploys;
mod first;
mod strangers;

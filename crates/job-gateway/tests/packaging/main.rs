//! The files of packages, and the gateway as systemd and containers run it.
#![cfg(all(unix, feature = "jwt", feature = "sqlite"))]

#[path = "../support/mod.rs"]
mod support;

mod generated;
mod systemd;

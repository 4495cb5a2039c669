//! The files of packages, and the gateway as systemd and containers run it.
#![cfg(all(unix, feature = "jwt", feature = "sqlite"))]

#[path = "../support/mod.rs"]
mod support;

mod activation;
mod container;
mod generated;
mod manual;
mod notifications;
mod systemd;

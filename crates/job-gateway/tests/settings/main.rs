//! Files of settings: checks, principals, certificates and reloads.
#![cfg(all(unix, feature = "jwt", feature = "sqlite"))]

#[path = "../support/mod.rs"]
mod support;

mod atomic;
mod commands;
mod file;
mod limits;
mod principals;
mod reload;
mod tls;

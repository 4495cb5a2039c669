//! Requests that programs understand in different ways: as many arrive behind the gateway as it has
//! sent on, and each as it has understood it.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod downgrade;
mod logged;
mod recorder;
mod suite;
mod vectors;
mod wire;

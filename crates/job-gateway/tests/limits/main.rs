//! The limits of clients, and the end of the process.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod ending;
mod log;
mod operators;
mod resets;
mod sockets;
mod stalls;
mod stores;

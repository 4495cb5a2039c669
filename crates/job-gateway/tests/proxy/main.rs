//! The way of requests to a server and of its answers back.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod bodies;
mod connections;
mod failures;
mod headers;
mod queue;
mod streams;
mod upgrades;

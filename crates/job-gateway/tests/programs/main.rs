//! Real programs at both ends: clients that know nothing of jobs, servers of other languages, and a
//! proxy before the gateway.
//!
//! The tests of a missing program print the reason, or fail if `HTTP_POLLING_REQUIRE_SERVICES=1` is set.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod grpc;
mod nginx;
mod process;
mod servers;
mod websockets;

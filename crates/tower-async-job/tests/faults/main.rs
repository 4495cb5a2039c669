//! Faults of clients, stores and handlers, and load beyond the limits.

#[path = "../support/mod.rs"]
mod support;

mod background;
mod crowds;
mod governed;
mod keyed;
mod overload;
mod panics;
mod resource;
mod results;
mod room;
mod shutdown;
mod sockets;
mod submission;
mod warnings;

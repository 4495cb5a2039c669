//! The layer on the clients that it is for: hyper, reqwest, tonic, and the layers around them.

#[path = "../common/mod.rs"]
mod common;

mod grpc;
mod loopback;
#[cfg(feature = "reqwest")]
mod reqwest_bodies;
#[cfg(feature = "reqwest-middleware")]
mod reqwest_middleware;
mod stacks;

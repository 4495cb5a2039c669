//! The parts of the example: the choice of a store, and processes and clients for its demonstration
//! and its tests.
//!
//! A node itself is in `main.rs`, and its application is that of the example `durable`.

mod balancer;
mod call;
mod demo;
mod process;
mod store;

pub use self::{
    balancer::{Balancer, Tally},
    call::{Answer, Call, NODE, Progress, Report},
    demo::demo,
    process::{Cluster, Process},
    store::open,
};

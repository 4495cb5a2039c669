//! Pages of other origins: the requests that a browser sends for them, and what it lets them read.
#![cfg(all(unix, feature = "jwt"))]

#[path = "../support/mod.rs"]
mod support;

mod jobs;
mod page;
mod refusals;
mod reload;
mod server;

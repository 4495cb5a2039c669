//! Servers that break the rules of HTTP, or stop in the middle: clients and jobs never take what they
//! have sent for a whole answer, and nothing is left of them in the gateway.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod cases;
mod endless;
mod http2;
mod script;
mod suite;
mod uploads;

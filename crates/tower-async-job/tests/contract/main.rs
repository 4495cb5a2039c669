//! The answers that clients get when nothing goes wrong: inline, pending, stored and refused.

#[path = "../support/mod.rs"]
mod support;

mod chunks;
mod closing;
mod contexts;
mod deadline;
mod delivery;
mod exchange;
mod holding;
mod idempotency;
mod kept;
mod ownership;
mod preferences;
mod retry_after;
mod uploads;
mod wire;

//! The answers to clients without faults: inline, pending, stored and refused.

#[path = "../support/mod.rs"]
mod support;

mod budgets;
mod chunks;
mod closing;
mod contexts;
mod deadline;
mod delivery;
mod events;
mod exchange;
mod files;
mod handles;
mod holding;
mod idempotency;
mod kept;
mod outside;
mod own_jobs;
mod ownership;
mod policies;
mod preferences;
mod ranges;
mod releases;
mod retry_after;
mod shared_store;
mod uploads;
mod wire;

//! Spans and events of submissions, runs and polls.
//!
//! Each test installs a subscriber of its own for its thread. They are in a process of their own because
//! an event that a thread without a subscriber reaches first may stay disabled for all threads.

#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "opentelemetry")]
mod opentelemetry;
mod spans;

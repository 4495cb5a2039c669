//! Spans and events of submissions, runs and polls.
//!
//! Each test installs its own subscriber for its thread. The tests have their own process because
//! an event first reached by a thread without a subscriber may stay disabled for all threads.

#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "opentelemetry")]
mod opentelemetry;
mod spans;

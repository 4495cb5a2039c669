//! The log: a line of JSON for each event, on the standard error.

use std::io;

use tracing::Level;

/// Writes all events from now on, of this and other crates, except for those that only help to find
/// mistakes in the gateway.
pub(crate) fn begin() {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(io::stderr)
        .with_max_level(Level::INFO)
        .init();
}

//! The log: a line of JSON for each event, on the standard error.

use std::io;

use tracing_subscriber::{
    Layer, filter::LevelFilter, fmt, layer::SubscriberExt, registry, util::SubscriberInitExt,
};

use super::jobs;

/// Writes all events from now on, of this and other crates, except for those that only help to find
/// mistakes in the gateway.
pub(crate) fn begin() {
    // Spans name jobs by their ids.
    let lines = fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(io::stderr);
    registry()
        .with(jobs::ends())
        .with(lines.with_filter(LevelFilter::INFO))
        .init();
}

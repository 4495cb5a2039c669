//! Metrics and links between spans.

pub(crate) mod links;
pub(crate) mod metrics;
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
mod recent;

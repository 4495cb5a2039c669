//! Metrics and links between spans.

pub(crate) mod links;
pub(crate) mod metrics;
pub(crate) mod recent;

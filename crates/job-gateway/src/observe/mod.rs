//! The log of the process, and its metrics.

pub(crate) mod jobs;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod requests;

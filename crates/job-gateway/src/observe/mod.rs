//! The log of the process.

pub(crate) mod log;

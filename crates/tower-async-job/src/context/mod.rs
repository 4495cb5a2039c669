//! The handler's view of its job.

pub(crate) mod checkpoint;
mod driving;
pub(crate) mod handler;
pub(crate) mod job;
mod outbox;
pub(crate) mod reason;
mod saves;

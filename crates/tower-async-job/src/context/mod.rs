//! The handler's view of its job.

mod driving;
pub(crate) mod handler;
pub(crate) mod job;
mod outbox;
pub(crate) mod reason;

//! The job resource: the answers under the base to clients that know a job's id.

mod cancel;
mod events;
mod list;
pub(crate) mod operator;
pub(crate) mod own_jobs;
mod page;
mod poll;
pub(crate) mod readiness;
pub(crate) mod request;
pub(crate) mod service;
mod unreadable;

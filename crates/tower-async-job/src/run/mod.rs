//! Runs of jobs, from the acceptance to the stored end.

pub(crate) mod accept;
pub(crate) mod attempt;
mod finish;
mod recording;
pub(crate) mod restore;
mod span;
pub(crate) mod spawn;
pub(crate) mod task;
mod unkept;
mod watch;
pub(crate) mod work;
mod write;

#[cfg(test)]
mod tests;

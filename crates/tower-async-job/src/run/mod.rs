//! Runs of jobs, from the acceptance to the stored end.

pub(crate) mod accept;
pub(crate) mod attempt;
mod finish;
pub(crate) mod handover;
pub(crate) mod recording;
mod restore;
mod span;
pub(crate) mod spawn;
pub(crate) mod task;
pub(crate) mod terms;
mod unkept;
pub(crate) mod unresumable;
mod watch;
pub(crate) mod work;
mod write;

#[cfg(test)]
mod tests;

//! Calls: answered inline, deferred to a task, or taken as a job from the beginning.

pub(crate) mod deferral;
mod detached;
pub(crate) mod inline;
pub(crate) mod keyed;
mod progress;
mod reservation;
mod terms;
mod timer;

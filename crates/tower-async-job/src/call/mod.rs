//! Calls: answered inline, handed over to a task, or taken as a job from the beginning.

pub(crate) mod deferral;
pub(crate) mod inline;
pub(crate) mod keyed;
mod terms;
mod timer;

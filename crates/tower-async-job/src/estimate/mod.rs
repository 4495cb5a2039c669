//! The time that a client waits before its next poll.
//!
//! [`Learned`] is the default. It consists of the durations of past jobs (`durations`), bounded in
//! memory by route (`routes`), the cheapest polls for them (`schedule`), and a budget for all polls
//! (`load`) over future time (`slots`). The sizes of results are learned separately (`sizes`), with
//! any estimator.

mod durations;
mod estimator;
mod half_elapsed;
mod learned;
mod load;
mod rate;
mod routes;
mod schedule;
mod sizes;
mod slots;
mod time;

pub(crate) use self::sizes::Sizes;
pub use self::{
    estimator::{Estimator, ObservedJob},
    half_elapsed::HalfElapsed,
    learned::Learned,
};

#[cfg(test)]
mod tests;

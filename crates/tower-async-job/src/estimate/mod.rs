//! How long a client is told to wait before it polls again.
//!
//! [`Learned`] is the default. It is made of the durations of past jobs (`durations`), bounded in
//! memory by route (`routes`), of the polls that are cheapest for them (`schedule`), and of a
//! budget for all polls together (`load`), kept over the time to come (`slots`). How large results are
//! is learned beside it (`sizes`), whatever the estimator.

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

//! The state of polling that is not a future: the URLs, headers and times of
//! one call.

mod advice;
mod clock;
mod cookies;
mod failing;
mod mending;
mod pending;
mod reading;
mod releasing;
mod requests;
mod state;
mod storing;
mod verdict;
mod watching;

pub(crate) use self::{clock::Clock, state::Session, verdict::Verdict};

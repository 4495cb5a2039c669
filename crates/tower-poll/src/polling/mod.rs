//! The futures of polling: waiting for the next poll, sending it, reading
//! answers that are errors. All of them live in one box, made at the first
//! pending answer.

mod cancelling;
mod drain;
mod driving;
mod phase;
mod taking;
mod timer;

pub(crate) use self::{
    cancelling::PATIENCE,
    phase::{BoxPolling, Polling},
};

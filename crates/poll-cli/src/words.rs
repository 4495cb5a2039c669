//! Texts for people: server text without what could control a terminal, and
//! durations.

mod duration;
mod printable;

pub(crate) use self::{
    duration::{delay, duration, limit},
    printable::{json, line, lines},
};

//! Texts for human readers: filtered text of servers, and durations.

mod duration;
mod printable;

pub(crate) use self::{
    duration::{delay, duration, limit},
    printable::{json, line, lines, start},
};
